"""The flight recorder: bounded in bytes and number, newest first, found by the start of an id, and safe from any thread."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

from app.telemetry.recorder import EventRecord, Recorder, SpanRecord, TraceRecord
from app.telemetry.redaction import Scrubber
from app.telemetry.spans import Spans


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


MB = 1024 * 1024


def test_large_spans_and_events_do_not_grow_it_beyond_its_bytes() -> None:
    """A flood of spans with attributes of a megabyte filled the memory: only their number was bounded."""
    recorder = Recorder(max_bytes=16 * MB)
    for number in range(200):
        text = f"{number}" + "x" * MB  # a text of its own each time
        recorder.add(span(f"{number:032x}", attributes={"text": text}))
        recorder.add_event(f"{number:032x}", EventRecord(1, "TOLD", {"deep": {"list": [text + "!"]}}))
        assert recorder.bytes <= 16 * MB
    kept = recorder.recent(300)
    held = sum(len(s.attributes["text"]) for trace in kept for s in trace.spans)
    held += sum(len(e.fields["deep"]["list"][0]) for trace in kept for e in trace.events)
    assert 8 * MB <= held <= 16 * MB
    assert ids(kept)[0] == f"{199:032x}"


def test_one_trace_alone_cannot_push_all_others_out() -> None:
    recorder = Recorder(max_bytes=8 * MB)
    recorder.add(span("01"))
    for number in range(20):
        recorder.add(span("aa", f"{number:02}", attributes={"text": f"{number}" + "x" * (MB // 4)}))
    (trace,) = recorder.find("aa")
    assert (len(trace.spans), trace.dropped_spans) == (3, 17)
    assert ids(recorder.recent(9)) == ["aa", "01"]


def test_a_span_larger_than_all_of_it_is_counted_not_kept() -> None:
    recorder = Recorder(max_bytes=MB)
    recorder.add(span("01"))
    recorder.add(span("02"))
    recorder.add(span("02", "03", attributes={"text": "x" * 2 * MB}))
    assert [(trace.trace_id, trace.dropped_spans) for trace in recorder.recent(9)] == [("02", 1), ("01", 0)]


def test_the_estimate_is_on_the_safe_side() -> None:
    """What tracemalloc says of finished spans of the SDK is no more than what the recorder believes to hold."""
    recorder = Recorder(max_traces=10_000, max_bytes=256 * MB)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Spans(recorder, Scrubber(), lambda: None))
    tracer = provider.get_tracer("test")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(500):
            attributes = {f"key.{place}": f"value {number} " * place for place in range(8)}
            with tracer.start_as_current_span("work", attributes=attributes):
                pass
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= recorder.bytes <= 3 * taken


def test_a_span_becomes_a_record_when_it_is_read_and_only_once() -> None:
    made: list[int] = []

    def make() -> SpanRecord:
        made.append(1)
        return span("aa")

    recorder = Recorder()
    recorder.keep("aa", make, 100)
    assert made == []
    assert (
        recorder.find("aa")
        == recorder.recent(1)
        == recorder.take_changed()
        == [TraceRecord("aa", [span("aa")])]
    )
    assert made == [1]


def test_what_could_not_be_used_counts_as_changed_again() -> None:
    recorder = Recorder(max_traces=2)
    for trace_id in ("01", "02"):
        recorder.add(span(trace_id))
    assert ids(recorder.take_changed()) == ["01", "02"]
    assert recorder.take_changed() == []
    recorder.add(span("03"))
    recorder.put_back(["01", "02"])  # the first is no longer kept
    assert ids(recorder.take_changed()) == ["02", "03"]


def test_clear_forgets_everything() -> None:
    recorder = Recorder()
    recorder.add(span("01"))
    recorder.clear()
    assert (recorder.recent(9), recorder.take_changed(), recorder.bytes) == ([], [], 0)


def test_traces_that_nobody_takes_leave_nothing_behind() -> None:
    recorder = Recorder(max_traces=5)
    for number in range(100):
        recorder.add(span(f"{number:02}"))
    assert len(recorder._changed) == 5


def test_a_burst_reaches_the_index_whole() -> None:
    recorder = Recorder()
    for number in range(1000):
        recorder.add(SpanRecord(f"{number:032x}", "1" * 16, None, "process", "consumer", 0, 1, "unset", {}))
    assert [trace.trace_id for trace in recorder.take_changed()] == [f"{n:032x}" for n in range(1000)]
