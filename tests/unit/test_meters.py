"""The instruments against the SDK's own: whatever is recorded, both collect the same points."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, use_span

from app.telemetry.catalogue import UPDATE_LATENCY, UPDATES
from app.telemetry.meters import Meters

RESOURCE = Resource({"service.name": "test"})
tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")

labels = st.dictionaries(
    st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", 1, True, 1.0, "1"]), max_size=2
)
recordings = st.lists(st.tuples(st.sampled_from("cuhg"), st.integers(0, 400), labels), max_size=20)


def said(data: MetricsData | None) -> dict[str, Any]:
    """What came out, without times and without the traces."""
    found: dict[str, Any] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = [
                    (
                        sorted((k, type(v).__name__, str(v)) for k, v in (point.attributes or {}).items()),
                        getattr(point, "value", None),
                        *(getattr(point, name, None) for name in ("count", "sum", "min", "max")),
                        *(list(getattr(point, name, ())) for name in ("bucket_counts", "explicit_bounds")),
                    )
                    for point in metric.data.data_points
                ]
                monotonic = getattr(metric.data, "is_monotonic", None)
                kind = type(metric.data).__name__
                found[metric.name] = (
                    kind,
                    monotonic,
                    metric.unit,
                    metric.description,
                    sorted(points, key=repr),
                )
    return found


@given(recordings)
def test_what_is_recorded_comes_out_as_from_the_sdk(told: list[tuple[str, int, dict[str, Any]]]) -> None:
    reader = InMemoryMetricReader()
    stock, ours = MeterProvider([reader], RESOURCE, shutdown_on_exit=False), Meters(RESOURCE, [])
    for provider in (stock, ours):
        meter = provider.get_meter("test", "1")
        counter = meter.create_counter("c", "{x}", "counts")
        standing = meter.create_up_down_counter("u", "{x}", "stands")
        histogram = meter.create_histogram(
            "h", "s", "lasts", explicit_bucket_boundaries_advisory=[5, 100, 200]
        )
        gauge = meter.create_gauge("g", "s", "is")
        for name, value, attributes in told:
            match name:
                case "c":
                    counter.add(value, attributes)
                case "u":
                    standing.add(-value, attributes)
                case "h":
                    histogram.record(value, attributes)
                case _:
                    gauge.set(value, attributes)
    assert said(ours.collect()) == said(reader.get_metrics_data())
    stock.shutdown()


def test_a_metric_of_the_catalogue_has_its_labels_and_buckets_whoever_records_it() -> None:
    meters = Meters(RESOURCE, [UPDATE_LATENCY, UPDATES])
    meter = meters.get_meter("anybody")
    meter.create_histogram(UPDATE_LATENCY.name).record(0.02, {"update_type": "message", "user": "1"})
    meter.create_counter(UPDATES.name).add(1, {"user": "1"})
    found = said(meters.collect())
    (latency,) = found[UPDATE_LATENCY.name][4]
    assert latency[0] == [("update_type", "str", "message")]
    assert latency[-1] == [*(UPDATE_LATENCY.buckets or ())]
    assert found[UPDATES.name][4][0][:2] == ([], 1)


def test_the_order_of_labels_makes_no_series() -> None:
    meters = Meters(RESOURCE, [])
    counter = meters.get_meter("test").create_counter("c")
    counter.add(1, {"a": "x", "b": "y"})
    counter.add(2, {"b": "y", "a": "x"})
    assert [point[1] for point in said(meters.collect())["c"][4]] == [3]


def test_series_beyond_the_limit_are_counted_together() -> None:
    meters = Meters(RESOURCE, [])
    counter = meters.get_meter("test").create_counter("c")
    for number in range(5000):
        counter.add(1, {"a": f"{number}"})
    points = said(meters.collect())["c"][4]
    assert len(points) == 2001
    assert [point[1] for point in points if point[0] == [("otel.metric.overflow", "bool", "True")]] == [3000]
    assert len(counter.series._known) <= 4000  # type: ignore[attr-defined]  # the memory itself is the point


class _Clock:
    """The time of the series, in seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr("app.telemetry.series.time_ns", clock)
    return clock


def _record(instrument: Histogram | Counter, value: float) -> Span:
    """Record a value in a span of its own, which has ended then."""
    with tracer.start_as_current_span("work") as span:
        instrument.record(value) if isinstance(instrument, Histogram) else instrument.add(value)
    assert isinstance(span, Span)
    return span


def _exemplars(meters: Meters) -> list[tuple[float, float, int, int]]:
    """Value, time, trace and span of each, and that OTLP has the same."""
    data = meters.collect()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    sent = ExportMetricsServiceRequest.FromString(encode_metrics(data).SerializeToString())
    (metric,) = sent.resource_metrics[0].scope_metrics[0].metrics
    (told,) = metric.histogram.data_points or metric.sum.data_points
    found = [(e.value, e.time_unix_nano / 1e9, e.trace_id or 0, e.span_id or 0) for e in point.exemplars]
    assert [int.from_bytes(e.trace_id, "big") for e in told.exemplars] == [each[2] for each in found]
    return found


def _named(value: float, at: float, span: Span) -> tuple[float, float, int, int]:
    """The exemplar of a value that was recorded in this span, which is marked."""
    assert dict(span.attributes or {}) == {"tracegram.exemplar": True}
    return value, at, span.context.trace_id, span.context.span_id


def test_a_bucket_names_one_trace_a_minute_and_marks_it(clock: _Clock) -> None:
    """Four of five dots of a graph led to traces that the Collector had dropped: nothing told it to keep them."""
    meters = Meters(RESOURCE, [])
    histogram = meters.get_meter("test").create_histogram("h", explicit_bucket_boundaries_advisory=[1, 10])
    begun = clock.now
    low, first = _record(histogram, 0.5), _record(histogram, 5)
    clock.now += 59.9
    others = [_record(histogram, 6), _record(histogram, 7)]
    for _ in range(2):  # a second collection has them, too
        assert _exemplars(meters) == [_named(0.5, begun, low), _named(5, begun, first)]
    clock.now += 0.1
    later = _record(histogram, 8)
    others.append(_record(histogram, 9))
    assert _exemplars(meters) == [_named(0.5, begun, low), _named(8, clock.now, later)]
    assert [dict(span.attributes or {}) for span in others] == [{}, {}, {}]


def test_a_counter_names_one_trace_a_minute_and_marks_it(clock: _Clock) -> None:
    meters = Meters(RESOURCE, [])
    counter = meters.get_meter("test").create_counter("c")
    begun = clock.now
    first, other = _record(counter, 1), _record(counter, 2)
    assert _exemplars(meters) == [_named(1, begun, first)]
    clock.now += 60
    later = _record(counter, 3)
    assert _exemplars(meters) == [_named(3, clock.now, later)]
    assert dict(other.attributes or {}) == {}


def test_an_exemplar_does_not_outlast_a_clock_that_is_put_back(clock: _Clock) -> None:
    meters = Meters(RESOURCE, [])
    counter = meters.get_meter("test").create_counter("c")
    _record(counter, 1)
    clock.now -= 3600
    later = _record(counter, 2)
    assert _exemplars(meters) == [_named(2, clock.now, later)]


@pytest.mark.parametrize("where", ["outside", "ended", "elsewhere", "unsampled"])
def test_what_cannot_be_marked_is_not_named_and_takes_no_place(clock: _Clock, where: str) -> None:
    """A trace is kept by the mark on one of its spans; one that has ended, or is another process's, takes none."""
    meters = Meters(RESOURCE, [])
    counter = meters.get_meter("test").create_counter("c")
    ended = tracer.start_span("work")
    ended.end()
    elsewhere = NonRecordingSpan(
        SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    )
    unsampled = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test").start_span("work")
    spans = {"outside": INVALID_SPAN, "ended": ended, "elsewhere": elsewhere, "unsampled": unsampled}
    with use_span(spans[where]):
        counter.add(1)
    assert _exemplars(meters) == []
    begun = clock.now
    first = _record(counter, 1)
    clock.now += 60
    with use_span(spans[where]):
        counter.add(1)
    assert _exemplars(meters) == [_named(1, begun, first)]


def test_observed_values_are_asked_for_each_time_and_end_with_their_callback() -> None:
    meters = Meters(RESOURCE, [])
    seen = [Observation(1, {"a": "x"}), Observation(2, {"a": "y"})]
    meter = meters.get_meter("test")
    meter.create_observable_gauge("g", [lambda _: [*seen]])
    meter.create_observable_counter("c", [lambda _: [Observation(7)]])

    def generate() -> Any:
        options = yield []
        while True:
            assert isinstance(options, CallbackOptions)
            options = yield [Observation(-3)]

    meter.create_observable_up_down_counter("u", [generate()])
    assert [point[1] for point in said(meters.collect())["g"][4]] == [1, 2]
    seen.pop()
    found = said(meters.collect())
    assert [point[1] for point in found["g"][4]] == [1]
    assert (found["c"][:2], found["u"][:2]) == (("Sum", True), ("Sum", False))
    assert (found["c"][4][0][1], found["u"][4][0][1]) == (7, -3)


def test_a_callback_that_fails_takes_no_other_metric_with_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: CallbackOptions) -> list[Observation]:
        raise RuntimeError("odd")

    meters = Meters(RESOURCE, [])
    meter = meters.get_meter("test")
    meter.create_observable_gauge("g", [fail])
    meter.create_counter("c").add(1)
    assert list(said(meters.collect())) == ["c"]
    assert "g could not be observed" in caplog.text


def test_nothing_negative_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    meters = Meters(RESOURCE, [])
    meter = meters.get_meter("test")
    meter.create_counter("c").add(-1)
    meter.create_histogram("h").record(-1)
    assert meters.collect() is None
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


def test_a_silent_scope_goes_nowhere_and_the_same_name_is_the_same_instrument() -> None:
    meters = Meters(RESOURCE, [], silent=["loud.library"])
    meters.get_meter("loud.library").create_counter("c").add(1)
    assert meters.collect() is None
    for _ in range(2):
        meters.get_meter("test").create_counter("c").add(1)
    assert [point[1] for point in said(meters.collect())["c"][4]] == [2]


def test_no_recording_is_lost_between_threads() -> None:
    meters = Meters(RESOURCE, [])
    histogram = meters.get_meter("test").create_histogram("h")

    def record(_: int) -> None:
        for number in range(2000):
            histogram.record(1, {"a": f"{number % 7}"})

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(record, range(8)):
            meters.collect()
    assert sum(point[2] for point in said(meters.collect())["h"][4]) == 16_000
