"""The check of the payload: whole deliveries pass, every kind of loss is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.bench.payload import FLOOR, Delivery, Missing, payload, shortfalls

_CALL = [KeyValue(key="rpc.method", value=AnyValue(string_value="sendMessage"))]


def _delivery(folder: Path, spans: int = 4, records: int = 5, stray: bool = False) -> Delivery:
    """One update: a root, then its children, the last two of them API calls."""
    traces, logs, metrics = (
        ExportTraceServiceRequest(),
        ExportLogsServiceRequest(),
        ExportMetricsServiceRequest(),
    )
    told = [
        Span(
            trace_id=b"t" * 16,
            span_id=bytes([index] * 8),
            parent_span_id=b"" if index == 1 else b"\1" * 8,
            attributes=_CALL if index > 2 else (),
        )
        for index in range(1, 5)
    ]
    traces.resource_spans.add().scope_spans.add().spans.extend(told[:spans])
    trace_id = (b"x" if stray else b"t") * 16
    logs.resource_logs.add().scope_logs.add().log_records.extend(
        [LogRecord(trace_id=trace_id, span_id=b"\1" * 8)] * records
    )
    scope = metrics.resource_metrics.add().scope_metrics.add()
    scope.metrics.extend([Metric(name="bot.updates"), Metric(name="bot.update.latency")])
    scope.metrics[0].sum.data_points.append(NumberDataPoint(as_int=1))
    scope.metrics[1].histogram.data_points.append(HistogramDataPoint(count=1))
    lines = folder / "lines"
    lines.write_text('{"trace_id": "74"}\n' * 5 + "{}\n")
    return Delivery(traces.SerializeToString(), logs.SerializeToString(), metrics.SerializeToString(), lines)


def test_a_whole_delivery_is_counted(tmp_path: Path) -> None:
    found = payload(_delivery(tmp_path), 1, 1)
    assert (found.spans, found.log_records, found.log_lines, found.metric_recordings) == (4, 5, 5, 2)


def test_cumulative_metrics_are_not_added_up(tmp_path: Path) -> None:
    once = _delivery(tmp_path)
    assert payload(replace(once, metrics=once.metrics * 3), 1, 1).metric_recordings == 2


def test_a_lost_span_is_missed(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="1 API calls"):
        payload(_delivery(tmp_path, spans=3), 1, 1)


def test_a_lost_trace_is_missed(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="1 traces came for 2 updates"):
        payload(_delivery(tmp_path), 2, 2)


def test_a_record_without_its_span_is_missed(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="5 log records of 5"):
        payload(_delivery(tmp_path, stray=True), 1, 1)


def test_less_than_the_floor_is_told_by_name() -> None:
    assert shortfalls("ours", replace(FLOOR, log_records=4), FLOOR) == [
        "ours delivers 4 log_records per update, at least 5 are due"
    ]
    assert shortfalls("ours", FLOOR, FLOOR) == []
