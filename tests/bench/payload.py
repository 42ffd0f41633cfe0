"""What the sink received, counted: the proof that no variant is cheap because it says less.

Ours may carry more than the naive variant, never less; both carry at least the floor. The `code.*` attributes that the
SDK's logging handler adds to each record unasked are not counted: they are part of what the usual way costs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_METRICS = ("bot.updates", "bot.update.latency", "bot.download.success")


class Missing(Exception):
    """The sink did not get what the bot told."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Per update, as the sink and the log lines have it. Metrics are recordings, not points."""

    spans: float
    span_attributes: float
    log_records: float
    log_attributes: float
    log_lines: float
    metric_recordings: float
    otlp_bytes: float


#: What an update says at least: four spans, five records on both ways, three recordings.
FLOOR = Payload(4, 20, 5, 14, 5, 3, 1000)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The bodies of one variant. Metrics are cumulative: they count from the start of the process."""

    traces: bytes
    logs: bytes
    metrics: bytes
    lines: Path


def payload(delivery: Delivery, updates: int, updates_in_all: int) -> Payload:
    """Count what came for `updates` updates. Raises `Missing` when a trace, an id or a recording is not there."""
    spans = _spans(delivery.traces)
    by_trace = _checked_traces(spans, updates)
    records = _checked_records(delivery.logs, by_trace)
    return Payload(
        spans=len(spans) / updates,
        span_attributes=sum(len(span.attributes) for span in spans) / updates,
        log_records=len(records) / updates,
        log_attributes=sum(records) / updates,
        log_lines=_lines(delivery.lines) / updates_in_all,
        metric_recordings=_recordings(delivery.metrics) / updates_in_all,
        otlp_bytes=round((len(delivery.traces) + len(delivery.logs)) / updates, 1),
    )


def shortfalls(name: str, has: Payload, least: Payload) -> list[str]:
    """Every respect in which a payload has less than `least`."""
    counted = asdict(has)
    return [
        f"{name} delivers {counted[key]:g} {key} per update, at least {wanted:g} are due"
        for key, wanted in asdict(least).items()
        if counted[key] < wanted and key != "otlp_bytes"
    ]


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
    ]


def _checked_traces(spans: list[Span], updates: int) -> dict[bytes, set[bytes]]:
    traces: defaultdict[bytes, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    if len(traces) != updates:
        raise Missing(f"{len(traces)} traces came for {updates} updates")
    known = {trace_id: {span.span_id for span in group} for trace_id, group in traces.items()}
    for trace_id, group in traces.items():
        roots = [span for span in group if not span.parent_span_id]
        lost = [span for span in group if span.parent_span_id and span.parent_span_id not in known[trace_id]]
        calls = [span for span in group if any(pair.key == "rpc.method" for pair in span.attributes)]
        if len(roots) != 1 or lost or len(calls) != 2:
            raise Missing(
                f"a trace has {len(roots)} roots, {len(lost)} lost spans and {len(calls)} API calls"
            )
    return known


def _checked_records(body: bytes, traces: dict[bytes, set[bytes]]) -> list[int]:
    request = ExportLogsServiceRequest.FromString(body)
    records = [
        record for part in request.resource_logs for scope in part.scope_logs for record in scope.log_records
    ]
    strays = [record for record in records if record.span_id not in traces.get(record.trace_id, ())]
    if strays:
        raise Missing(f"{len(strays)} log records of {len(records)} lead to no span")
    return [sum(not pair.key.startswith("code.") for pair in record.attributes) for record in records]


def _recordings(body: bytes) -> int:
    largest: defaultdict[tuple[str, bytes], int] = defaultdict(int)
    request = ExportMetricsServiceRequest.FromString(body)
    found = [m for part in request.resource_metrics for scope in part.scope_metrics for m in scope.metrics]
    for metric in found:
        if metric.name not in _METRICS:
            continue
        for point in metric.sum.data_points:
            key = metric.name, b"".join(pair.SerializeToString() for pair in point.attributes)
            largest[key] = max(largest[key], int(point.as_int or point.as_double))
        for bars in metric.histogram.data_points:
            key = metric.name, b"".join(pair.SerializeToString() for pair in bars.attributes)
            largest[key] = max(largest[key], bars.count)
    return sum(largest.values())


def _lines(path: Path) -> int:
    with path.open() as lines:
        return sum('"trace_id": "' in line or '"trace_id":"' in line for line in lines)
