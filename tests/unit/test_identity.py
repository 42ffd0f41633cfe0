"""Hashes that stand for people: alike for one period and key, different otherwise, and telling nothing of the id."""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.telemetry import identity
from app.telemetry.identity import Rotation, hashed, lasting_key, use_key


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def at(self, moment: str) -> None:
        self.now = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    made.at("2026-11-26T12:00:00")
    monkeypatch.setattr(identity, "time", made)
    for name in ("_root", "_rotation", "_key", "_good_until"):
        monkeypatch.setattr(identity, name, getattr(identity, name))
    use_key("one key of this test")
    return made


def test_a_known_hash() -> None:
    """Two HMACs with SHA-256: of the month under the root, and of the decimal digits under that."""
    month = hmac.digest(b"one key of this test", b"telemetry 2026-11", "sha256")
    assert hashed(1000) == hmac.digest(month, b"1000", "sha256").hex()[:16] == "2946c733925d44bd"


def test_another_key_gives_another_hash() -> None:
    first = hashed(1000)
    use_key("another key")
    assert hashed(1000) != first
    use_key("one key of this test")
    assert hashed(1000) == first


def test_an_empty_key_keeps_the_one_that_is_used() -> None:
    first = hashed(1000)
    use_key("")
    assert hashed(1000) == first


PERIODS: list[tuple[Rotation, str, str]] = [
    ("day", "2026-11-26T23:59:59.9", "2026-11-27T00:00:00"),
    ("week", "2026-11-29T23:59:59.9", "2026-11-30T00:00:00"),
    ("month", "2026-11-30T23:59:59.9", "2026-12-01T00:00:00"),
    ("week", "2027-01-03T23:59:59.9", "2027-01-04T00:00:00"),
]


@pytest.mark.parametrize(("rotation", "last", "first"), PERIODS)
def test_a_hash_lasts_for_its_period(clock: Clock, rotation: Rotation, last: str, first: str) -> None:
    use_key("one key of this test", rotation)
    clock.at(first)
    next_period = hashed(1000)
    use_key("one key of this test", rotation)  # as another instance, or after a restart
    clock.at(last)
    this_period = hashed(1000)
    clock.now -= 3600
    use_key("one key of this test", rotation)
    assert hashed(1000) == this_period
    clock.at(first)
    assert hashed(1000) == next_period != this_period


def test_a_key_that_never_turns(clock: Clock) -> None:
    use_key("one key of this test", "never")
    first = hashed(1000)
    clock.at("2031-01-01T00:00:00")
    assert hashed(1000) == first


def test_a_hash_costs_one_hmac(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed(1)
    derived: list[object] = []
    monkeypatch.setattr(identity, "_turn_the_key", lambda: derived.append(1))
    for number in range(1000):
        hashed(number)
    assert derived == []


def test_the_lasting_key_is_no_key_of_telemetry(clock: Clock) -> None:
    assert lasting_key("one key of this test") == lasting_key("one key of this test")
    assert lasting_key("one key of this test") != lasting_key("another key")
    hashed(1)
    assert lasting_key("one key of this test") != identity._key


def test_ids_next_to_each_other_have_nothing_in_common() -> None:
    hashes = [hashed(number) for number in range(-500, 500)]
    assert len(set(hashes)) == 1000
    assert len({value[:8] for value in hashes}) > 990


ids = st.integers(-(2**52), 2**52)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids)
def test_a_hash_is_16_digits_and_not_the_id(telegram_id: int) -> None:
    value = hashed(telegram_id)
    assert re.fullmatch("[0-9a-f]{16}", value)
    if abs(telegram_id) > 10**6:
        assert str(abs(telegram_id)) not in value
        assert f"{abs(telegram_id):x}" not in value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(ids, min_size=2, max_size=50), st.integers(1, 400))
def test_hashes_of_two_periods_cannot_be_joined(clock: Clock, people: set[int], days: int) -> None:
    use_key("one key of this test", "day")
    clock.at("2026-11-26T12:00:00")
    before = {hashed(person) for person in people}
    clock.now += days * 86_400
    assert before.isdisjoint(hashed(person) for person in people)
