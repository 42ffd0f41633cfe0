"""The flight recorder: bounded, newest first, found by the start of an id, and safe from any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.telemetry.recorder import Recorder, SpanRecord, TraceRecord


def span(trace_id: str, span_id: str = "01", **values: Any) -> SpanRecord:
    defaults: dict[str, Any] = {
        "parent_id": None,
        "name": "work",
        "kind": "internal",
        "start_ns": 0,
        "end_ns": 1_000_000,
        "status": "unset",
        "attributes": {},
    }
    return SpanRecord(trace_id, span_id, **{**defaults, **values})


def ids(traces: list[TraceRecord]) -> list[str]:
    return [trace.trace_id for trace in traces]


def test_the_spans_of_a_trace_come_together() -> None:
    recorder = Recorder()
    spans = [span("aa", "01"), span("bb", "02"), span("aa", "03")]
    for each in spans:
        recorder.add(each)
    assert recorder.find("aa") == [TraceRecord("aa", [spans[0], spans[2]])]


def test_the_oldest_trace_goes_first() -> None:
    recorder = Recorder(max_traces=3)
    for number in range(5):
        recorder.add(span(f"{number:02}"))
    assert ids(recorder.recent(10)) == ["04", "03", "02"]
    assert recorder.find("00") == []


def test_recent_gives_no_more_than_asked_for() -> None:
    recorder = Recorder()
    for number in range(5):
        recorder.add(span(f"{number:02}"))
    assert ids(recorder.recent(2)) == ["04", "03"]
    assert recorder.recent(0) == []
    assert Recorder().recent(5) == []


def test_spans_over_the_limit_are_counted_not_kept() -> None:
    recorder = Recorder(max_spans=2)
    for number in range(5):
        recorder.add(span("aa", f"{number:02}"))
    (trace,) = recorder.find("aa")
    assert ([s.span_id for s in trace.spans], trace.dropped_spans) == (["00", "01"], 3)


def test_a_trace_is_found_by_the_start_of_its_id() -> None:
    recorder = Recorder()
    for trace_id in ("ab12", "ab34", "cd56"):
        recorder.add(span(trace_id))
    assert ids(recorder.find("ab")) == ["ab34", "ab12"]
    assert ids(recorder.find("cd56")) == ["cd56"]
    assert ids(recorder.find("b12")) == []
    assert len(recorder.find("")) == 3


def test_the_root_started_first_though_it_ended_last() -> None:
    child = span("aa", "02", start_ns=2_000_000, end_ns=9_000_000)
    root = span("aa", "01", start_ns=1_000_000, end_ns=5_000_000)
    trace = TraceRecord("aa", [child, root])
    assert trace.root is root
    assert trace.duration_ms == 8.0


def test_only_failed_work_makes_a_trace_failed() -> None:
    call = span("aa", "02", kind="client", status="error")
    assert not TraceRecord("aa", [call, span("aa", kind="consumer", status="ok")]).failed
    assert TraceRecord("aa", [call, span("aa", kind="consumer", status="error")]).failed


def test_linked_traces_are_named_once_and_never_the_trace_itself() -> None:
    trace = TraceRecord(
        "aa", [span("aa", linked_traces=("bb", "aa")), span("aa", linked_traces=("cc", "bb"))]
    )
    assert trace.linked_traces == ("bb", "cc")


def test_threads_may_write_and_read_at_once() -> None:
    recorder = Recorder(max_traces=50, max_spans=1000)

    def write(thread: int) -> None:
        for number in range(2000):
            recorder.add(span(f"{number % 60:02}", f"{thread}-{number}"))

    def read(_: int) -> None:
        for _ in range(500):
            assert len(recorder.recent(1000)) <= 50
            recorder.find("1")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write, n) for n in range(6)] + [pool.submit(read, n) for n in range(2)]:
            done.result()
    kept = recorder.recent(1000)
    assert len(kept) == 50
    assert len({trace.trace_id for trace in kept}) == 50


def test_no_span_is_lost_between_threads() -> None:
    recorder = Recorder(max_traces=10, max_spans=100)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(recorder.add, span(f"{n % 10}", f"{n}")) for n in range(4000)]:
            done.result()
    kept = recorder.recent(10)
    assert [len(trace.spans) + trace.dropped_spans for trace in kept] == [400] * 10
