"""The waterfall as text: parents before children, bars on one axis, whatever the trace looks like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.critical import critical_path
from app.telemetry.recorder import SpanRecord, TraceRecord
from app.telemetry.spantree import grow
from app.telemetry.waterfall import duration, longest_steps, waterfall

MS = 1_000_000
_LABEL = 1 + 23
_BAR = 8


def span(
    span_id: str, parent: str | None, name: str, start_ms: float, end_ms: float, **more: Any
) -> SpanRecord:
    return SpanRecord(
        trace_id="aa",
        span_id=span_id,
        parent_id=parent,
        name=name,
        kind="internal",
        start_ns=int(start_ms * MS),
        end_ns=int(end_ms * MS),
        status=more.get("status", "unset"),
        attributes={},
    )


def drawn(*spans: SpanRecord, dropped: int = 0) -> list[str]:
    return waterfall(TraceRecord("aa", list(spans), dropped_spans=dropped))


WHOLE = (
    # In the order in which they ended, as the recorder has them.
    span("3", "2", "INSERT", 30, 30.8),
    span("6", "2", "SELECT", 60, 70),
    span("4", "2", "sendMessage", 50, 90, status="error"),
    span("2", "1", "process message", 10, 100),
    span("1", None, "receive message", 0, 1),
    span("5", "gone", "orphan with a name that is far too long", 100, 1000),
)


def test_a_trace_whole() -> None:
    assert drawn(*WHOLE) == [
        "*receive message        |▏       | 1.0ms 1.0ms",
        "* process message       |█       |  90ms 49ms",
        "*  INSERT               |▏       | 0.8ms",
        "*  !sendMessage         |▏       |  40ms",
        "   SELECT               |▏       |  10ms",
        "*orphan with a name that|███████ | 900ms",
    ]


def test_where_the_time_of_the_critical_path_went() -> None:
    steps = longest_steps(critical_path(grow(WHOLE)))
    assert steps == "orphan with a name that 900 ms (90 %)"
    assert longest_steps(critical_path(grow(WHOLE[:-1]))) == (
        "process message 49 ms (49 %) › sendMessage 40 ms (40 %) › waiting for process message 9.0 ms (9 %)"
    )


def test_siblings_stand_in_the_order_of_their_starts() -> None:
    lines = drawn(
        span("1", None, "root", 0, 10), span("3", "1", "later", 5, 6), span("2", "1", "sooner", 1, 9)
    )
    assert [line[1:24].strip() for line in lines] == ["root", "sooner", "later"]


def test_a_span_without_its_parent_is_drawn_as_a_root_with_its_children() -> None:
    lines = drawn(span("2", "gone", "orphan", 0, 10), span("3", "2", "child", 1, 2))
    assert [line[1:24].rstrip() for line in lines] == ["orphan", " child"]


def test_a_trace_without_any_duration() -> None:
    assert drawn(span("1", None, "point", 5, 5)) == [" point                  |▏       | 0.0ms"]


def test_a_bar_at_the_very_end_stays_on_the_axis() -> None:
    assert drawn(span("1", None, "root", 0, 100), span("2", "1", "last", 100, 100))[1] == (
        "  last                  |       ▏| 0.0ms"
    )


def test_a_name_of_many_lines_is_one_line() -> None:
    (line,) = drawn(span("1", None, "SELECT\n1\t\r\nFROM x", 0, 1))
    assert line == "*SELECT 1 FROM x        |████████| 1.0ms"


def test_what_was_not_recorded_is_counted() -> None:
    spans = [span(str(n), None, "x", n, n + 1) for n in range(5)]
    assert drawn(*spans, dropped=7)[-1] == "… and 7 more spans"


def test_a_thousand_generations_are_drawn_with_a_bounded_indent() -> None:
    spans = [span(str(n), str(n - 1) if n else None, "deep", n, 2000 - n) for n in range(1000)]
    lines = drawn(*spans)
    assert [len(line[1:]) - len(line[1:].lstrip()) for line in lines[:9]] == [0, 1, 2, 3, 4, 5, 6, 6, 6]
    assert len(lines) == 1000


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0.0 ms"),
        (799_999, "0.8 ms"),
        (9_949_999, "9.9 ms"),
        (10_000_000, "10 ms"),
        (142_400_000, "142 ms"),
        (999_000_000, "999 ms"),
        (1_000_000_000, "1.0 s"),
        (61_040_000_000, "61.0 s"),
    ],
)
def test_durations_for_people(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text


spans = st.lists(
    st.builds(
        lambda parent, name, start, length, status: (parent, name, start, length, status),
        st.integers(-1, 60),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=40),
        st.integers(0, 10**15),
        st.integers(0, 10**15),
        st.sampled_from(["unset", "ok", "error"]),
    ),
    min_size=1,
    max_size=60,
)


@given(spans)
def test_every_span_has_one_line_and_all_bars_stand_below_each_other(drafts: list[tuple[Any, ...]]) -> None:
    made = [
        # A parent always stands before its child in the list: there are no circles.
        SpanRecord("aa", str(n), str(p) if p < n else "gone", name, "x", start, start + length, status, {})
        for n, (p, name, start, length, status) in enumerate(drafts)
    ]
    lines = waterfall(TraceRecord("aa", made))
    assert len(lines) == len(made)
    for line in lines:
        assert line[_LABEL] == line[_LABEL + 1 + _BAR] == "|"
        bar = line[_LABEL + 1 : _LABEL + 1 + _BAR]
        assert set(bar) <= {" ", "█", "▏"}
        assert bar.strip(), "each span has a bar"
        assert line.endswith(("ms", "s"))
