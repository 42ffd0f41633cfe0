"""What the child process says is checked before it is believed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import errors
from app.jobs.engines.wire import (
    MAX_TITLE_CHARS,
    Failed,
    Finished,
    Line,
    Order,
    clean_title,
    decode_line,
    encode_line,
)
from app.jobs.ports import Progress


@pytest.mark.parametrize(
    "line",
    [
        Progress("downloading", 0.5),
        Progress("probing", None),
        Finished("A title", None, 60.0),
        Finished("Песня", "Исполнитель", 1.5),
        Failed("TooLarge"),
        Failed("EngineFailed", "KeyError some.module:12"),
    ],
)
def test_a_line_arrives_as_it_was_said(line: Line) -> None:
    assert decode_line(encode_line(line).encode()) == line


def test_an_order_arrives_as_it_was_given() -> None:
    order = Order("https://example.org/", 192, 1, 2.0, 3.0, "/usr/bin/ffmpeg", ("a:1", "b:2"), 42)
    assert Order.decode(order.encode()) == order


STRANGE = [
    b"",
    b"hello\n",
    b"\xff\xfe",
    b"{}",
    b"[1]",
    b'{"Progress": 1}',
    b'{"Progress": {"stage": "dancing", "fraction": 0.1}}',
    b'{"Progress": {"stage": "probing", "fraction": "x"}}',
    b'{"Finished": {"title": "t", "performer": null, "duration_s": NaN}}',
    b'{"Finished": {"title": "t", "performer": null, "duration_s": 1e999}}',
    b'{"Finished": {"title": "t", "performer": null, "duration_s": -1}}',
    b'{"Finished": {"title": "t", "performer": null, "duration_s": 1' + b"0" * 400 + b"}}",
    b'{"Exec": {}}',
    b"[" * 60_000,
]


@pytest.mark.parametrize("data", STRANGE, ids=range(len(STRANGE)))
def test_a_strange_line_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # JSON's own error is as good as ours
        decode_line(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
fields = st.dictionaries(
    st.sampled_from(["stage", "fraction", "title", "performer", "duration_s", "code", "where"]), json_values
)


@given(st.dictionaries(st.sampled_from(["Progress", "Finished", "Failed"]), fields, max_size=2))
def test_no_json_does_more_than_a_value_error(said: dict[str, object]) -> None:
    try:
        line = decode_line(json.dumps(said).encode())
    except ValueError:
        return
    if isinstance(line, Progress):
        assert line.fraction is None or 0.0 <= line.fraction <= 1.0
    elif isinstance(line, Finished):
        assert 0 < len(line.title) <= MAX_TITLE_CHARS


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TooLarge", errors.TooLarge),
        ("LinkNotAllowed", errors.LinkNotAllowed),
        ("EngineFailed", errors.EngineFailed),
        ("ConfigError", errors.EngineFailed),
        ("annotations", errors.EngineFailed),
        ("Nonsense", errors.EngineFailed),
    ],
)
def test_a_code_gives_its_error_and_nothing_else(code: str, kind: type[errors.JobError]) -> None:
    assert type(Failed(code).error()) is kind


def test_what_a_failure_tells_cannot_hold_a_link() -> None:
    line = decode_line(
        encode_line(Failed("EngineFailed", "KeyError a.b:1 https://example.org/?q=1")).encode()
    )
    assert isinstance(line, Failed)
    assert "example.org" not in str(line.error())


@given(st.text(max_size=400))
def test_a_title_is_short_and_on_one_line(raw: str) -> None:
    title = clean_title(raw)
    assert 0 < len(title) <= MAX_TITLE_CHARS
    assert title == title.strip()
    assert clean_title(title) == title
    assert not [c for c in title if unicodedata.category(c).startswith("C") and c != "\u200d"]


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("  A \n\t song ", "A song"),
        ("a\u202eb\x00c", "a b c"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("", "audio"),
        (None, "audio"),
        ("\x07", "audio"),
        ("x" * 500, "x" * MAX_TITLE_CHARS),
    ],
)
def test_a_title_is_cleaned(raw: str | None, title: str) -> None:
    assert clean_title(raw) == title
