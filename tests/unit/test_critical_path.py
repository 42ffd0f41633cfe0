"""The critical path: segments that follow one another and make up the whole trace, however damaged it is."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.critical import critical_path, most_telling, shares
from app.telemetry.recorder import SpanRecord
from app.telemetry.spantree import Node, Part, grow, part_of, walk


def span(
    name: str, parent: str | None, start: int, end: int, *, status: Any = "unset", **attributes: Any
) -> SpanRecord:
    return SpanRecord("aa", name, parent, name, "internal", start, end, status, attributes)


def path(*spans: SpanRecord) -> list[str]:
    """Each segment as `name start-end`, with `?` before the name of what is waited for."""
    return [
        f"{'?' if s.waiting else ''}{s.node.span.name} {s.start_ns}-{s.end_ns}"
        for s in critical_path(grow(spans))
    ]


def test_the_child_that_ended_last_before_the_end_counts_and_so_on_backwards() -> None:
    assert path(
        span("root", None, 0, 100),
        span("a", "root", 10, 30),
        span("beside a", "root", 12, 25),
        span("b", "root", 40, 90),
        span("in b", "b", 50, 60),
        span("beside b", "root", 35, 85),
    ) == ["root 0-10", "a 10-30", "root 30-40", "b 40-50", "in b 50-60", "b 60-90", "root 90-100"]


def test_a_child_that_outlives_its_parent_is_waited_for_and_then_at_work() -> None:
    """An update is processed after its receipt: what lies between is the time in the inbox."""
    assert path(span("receive", None, 0, 5), span("process", "receive", 40, 90)) == [
        "receive 0-5",
        "?process 5-40",
        "process 40-90",
    ]


def test_a_child_whose_clock_is_behind_begins_the_path() -> None:
    assert path(span("root", None, 10, 50), span("skewed", "root", 2, 6), span("late", "root", 20, 60)) == [
        "skewed 2-6",
        "?root 6-10",
        "root 10-20",
        "late 20-60",
    ]


def test_spans_without_their_parents_follow_one_another() -> None:
    assert path(span("a", "gone", 0, 10), span("b", "lost", 15, 20), span("c", None, 18, 40)) == [
        "a 0-10",
        "?c 10-18",
        "c 18-40",
    ]


def test_a_span_that_ends_before_it_begins_takes_no_time() -> None:
    assert path(span("root", None, 0, 10), span("broken", "root", 5, 3)) == ["root 0-5", "root 5-10"]


def test_a_circle_of_parents_is_cut_open() -> None:
    spans = [span("a", "b", 0, 10), span("b", "a", 2, 8), span("self", "self", 20, 30)]
    assert sorted(node.span.name for node in walk(grow(spans))) == ["a", "b", "self"]
    assert path(*spans) == ["a 0-10", "?self 10-20", "self 20-30"]


def test_self_time_is_what_no_child_covers() -> None:
    (root,) = grow(
        [
            span("root", None, 0, 100),
            span("a", "root", 10, 30),
            span("over a", "root", 20, 40),
            span("within both", "root", 22, 25),
            span("outlives", "root", 90, 500),
            span("before", "root", -50, 5),
        ]
    )
    assert root.self_ns == 100 - 30 - 10 - 5
    assert [child.self_ns for child in root.children] == [55, 20, 20, 3, 410]


def test_the_shares_of_the_path() -> None:
    told = shares(
        critical_path(grow([span("receive", None, 0, 5), span("process", "receive", 40, 90), span("db", "process", 50, 60)]))
    )  # fmt: skip
    assert [(node.span.name, waiting, took) for node, waiting, took in told] == [
        ("process", False, 40),
        ("process", True, 35),
        ("db", False, 10),
        ("receive", False, 5),
    ]


def test_a_picture_keeps_what_failed_and_what_took_long() -> None:
    spans = [span("root", None, 0, 1000), span("parent", "root", 0, 400)]
    spans += [span(f"short {n}", "root", 400 + n, 401 + n) for n in range(100)]
    spans += [span("failed", "parent", 1, 2, status="error"), span("long", "root", 600, 900)]
    roots = grow(spans)
    kept = most_telling(roots, critical_path(roots), 4)
    assert [node.span.name for node in kept] == ["root", "parent", "failed", "long"]


@pytest.mark.parametrize(
    ("attributes", "part"),
    [
        ({"messaging.system": "telegram"}, "update"),
        ({"messaging.system": "tracegram"}, "job"),
        ({"job.engine": "yt-dlp"}, "job"),
        ({"db.system.name": "sqlite"}, "database"),
        ({"rpc.system.name": "telegram_bot_api"}, "bot api"),
        ({"http.request.method": "GET"}, "http"),
        ({"code.function.name": "app.bot.handlers.start.start"}, "handler"),
        ({"job.trace_id": "ab", "code.function.name": "f"}, "handler"),
        ({}, "other"),
    ],
)
def test_what_a_span_belongs_to(attributes: dict[str, Any], part: Part) -> None:
    assert part_of(span("x", None, 0, 1, **attributes)) == part


drafts = st.lists(
    st.tuples(st.integers(-1, 40), st.integers(-1000, 1000), st.integers(-50, 1000)), min_size=1, max_size=40
)


def _grown(made: list[tuple[int, int, int]]) -> list[Node]:
    # Any parent at all: itself, a later one, a circle of them, none.
    return grow([span(str(n), str(p), start, start + length) for n, (p, start, length) in enumerate(made)])


@given(drafts)
def test_the_segments_make_up_the_whole_trace(made: list[tuple[int, int, int]]) -> None:
    roots = _grown(made)
    segments = critical_path(roots)
    first, last = min(root.first for root in roots), max(root.last for root in roots)
    assert sum(segment.duration_ns for segment in segments) == last - first
    assert all(segment.duration_ns > 0 for segment in segments)
    for before, after in pairwise(segments):
        assert before.end_ns == after.start_ns
    for segment in segments:
        if not segment.waiting:
            assert segment.node.start <= segment.start_ns < segment.end_ns <= segment.node.end
    assert sum(took for _, _, took in shares(segments)) == last - first


@given(drafts)
def test_no_span_is_lost_and_self_time_is_never_negative(made: list[tuple[int, int, int]]) -> None:
    nodes = list(walk(_grown(made)))
    assert sorted(int(node.span.span_id) for node in nodes) == list(range(len(made)))
    for node in nodes:
        assert 0 <= node.self_ns <= node.end - node.start
        assert node.first <= node.start <= node.end <= node.last


@given(drafts, st.integers(1, 45))
def test_a_choice_of_spans_has_their_parents(made: list[tuple[int, int, int]], limit: int) -> None:
    roots = _grown(made)
    kept = most_telling(roots, critical_path(roots), limit)
    assert 0 < len(kept) <= limit or len(kept) == len(made)
    assert all(node.parent is None or node.parent in kept for node in kept)


def test_two_thousand_generations() -> None:
    deep = [span(str(n), str(n - 1) if n else None, n, 10_000 - n) for n in range(2000)]
    segments = critical_path(grow(deep))
    assert sum(segment.duration_ns for segment in segments) == 10_000
    assert len(segments) == 2 * 1999 + 1
