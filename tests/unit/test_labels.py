"""Labels: what the catalogue does not declare comes out as `other`, or fails the tests; series cannot multiply."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.telemetry import labels
from app.telemetry.catalogue import CALLBACKS, UPDATE_ERRORS, UPTIME, Label
from app.telemetry.labels import UndeclaredLabel, attributes, use_strict


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What other tests said does not count here."""
    before = labels._strict
    monkeypatch.setattr(labels, "_judged", {name: {} for name in labels._judged})
    monkeypatch.setattr(labels, "_said", {})
    use_strict(False)
    yield
    use_strict(before)


def error(kind: str, update_type: str = "message") -> dict[str, str]:
    return {"update_type": update_type, "error_type": kind}


def test_declared_labels_come_out_as_they_are() -> None:
    assert attributes(UPDATE_ERRORS, error("ValueError")) == error("ValueError")
    assert attributes(UPTIME, {}) == {}


def test_the_order_does_not_matter() -> None:
    turned = dict(reversed(error("ValueError").items()))
    assert attributes(UPDATE_ERRORS, turned) == attributes(UPDATE_ERRORS, error("ValueError"))


def test_the_same_labels_give_the_same_attributes() -> None:
    first = attributes(UPDATE_ERRORS, error("ValueError"))
    assert attributes(UPDATE_ERRORS, error("ValueError")) is first


def test_a_value_outside_of_its_closed_set_is_other() -> None:
    assert attributes(UPDATE_ERRORS, error("ValueError", "poll")) == error("ValueError", "other")


def test_a_label_too_many_is_dropped_and_one_too_few_is_other() -> None:
    assert attributes(UPDATE_ERRORS, {"error_type": "ValueError", "user": "1"}) == error(
        "ValueError", "other"
    )


def test_an_open_label_takes_as_many_values_as_its_limit() -> None:
    limit = UPDATE_ERRORS.labels[1].limit
    said = {attributes(UPDATE_ERRORS, error(f"Error{n}"))["error_type"] for n in range(limit + 20)}
    assert said == {f"Error{n}" for n in range(limit)} | {"other"}
    # Those that were there first stay, in combination with any other label.
    assert attributes(UPDATE_ERRORS, error("Error0", "other")) == error("Error0", "other")
    assert attributes(UPDATE_ERRORS, error("Error99", "other")) == error("other", "other")


def test_a_full_label_is_no_mistake_of_the_code() -> None:
    use_strict(True)
    limit = UPDATE_ERRORS.labels[1].limit
    for number in range(limit + 1):
        attributes(UPDATE_ERRORS, error(f"Error{number}"))


@pytest.mark.parametrize(
    ("given_labels", "message"),
    [
        (error("ValueError", "poll"), r"bot\.update\.errors: update_type is none of its 3 values"),
        (
            {"update_type": "message"},
            r"the labels are \['update_type', 'error_type'\], not \['update_type'\]",
        ),
        ({**error("ValueError"), "user": "1"}, "not .*'user'"),
    ],
)
def test_a_mistake_fails_the_tests(given_labels: dict[str, str], message: str) -> None:
    use_strict(True)
    with pytest.raises(UndeclaredLabel, match=message) as raised:
        attributes(UPDATE_ERRORS, given_labels)
    assert "poll" not in str(raised.value), "a value may be a person's words"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"button": st.text(), "reason": st.text()}), max_size=300))
def test_whatever_is_said_the_series_stay_within_the_budget(recordings: list[dict[str, str]]) -> None:
    series = {tuple(attributes(CALLBACKS, said).items()) for said in recordings}
    button, reason = CALLBACKS.labels
    for label, index in ((button, 0), (reason, 1)):
        assert len({pairs[index][1] for pairs in series}) <= most(label)


def most(label: Label) -> int:
    return (label.limit if label.values is None else len(label.values)) + 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_MOST", 10)
    for number in range(100):
        attributes(UPDATE_ERRORS, error(f"Error{number}"))
    assert len(labels._judged[UPDATE_ERRORS.name]) == 10
