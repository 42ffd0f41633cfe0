"""What the bot told about itself, in memory: spans, log records and metrics of one test, for whole-value asserts.

The providers are global and live for the whole run; the fixture empties them, and counts metrics from its own start.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client.exposition import generate_latest

from app.config.settings import Settings
from app.main import start_telemetry
from app.telemetry import activity
from app.telemetry.series import EXEMPLAR
from app.telemetry.setup import Sinks, Telemetry

TOKEN = "7000000001:AAtest-token_that-must-never-be-seen-x"
SECRETS = ("webhook-secret-0123456789", "hash-key-0123456789")

Series = tuple[str, tuple[tuple[str, str], ...]]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes without the mark of an exemplar: whether it has one hangs on what was recorded before the test."""
    return {key: value for key, value in (span.attributes or {}).items() if key != EXEMPLAR}


@dataclass(slots=True)
class Captured:
    """The signals of one test."""

    telemetry: Telemetry
    _spans: InMemorySpanExporter
    _logs: InMemoryLogRecordExporter
    reader: InMemoryMetricReader
    stdout: io.StringIO
    _before: dict[Series, float] = field(default_factory=dict)

    def spans(self) -> list[ReadableSpan]:
        """Every span that ended, in the order of their starts."""
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        provider.force_flush()
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)

    def trace(self, cid: str) -> list[ReadableSpan]:
        """The spans of one trace."""
        return [span for span in self.spans() if format_trace_id(span.context.trace_id) == cid]

    def tree(self, cid: str) -> list[str]:
        """One trace as indented names, children below parents in the order of their starts."""
        spans = self.trace(cid)
        known = {span.context.span_id for span in spans}

        def below(parent: int | None, depth: int) -> list[str]:
            lines: list[str] = []
            for span in spans:
                own = span.parent.span_id if span.parent and span.parent.span_id in known else None
                if own == parent:
                    lines.append("  " * depth + span.name)
                    lines.extend(below(span.context.span_id, depth + 1))
            return lines

        return below(None, 0)

    def cid_of(self, name: str) -> str:
        """The trace ID of the only span with this name."""
        (cid,) = {format_trace_id(s.context.trace_id) for s in self.spans() if s.name == name}
        return cid

    def lines(self) -> list[dict[str, Any]]:
        """Every JSON log line."""
        return [json.loads(line) for line in self.stdout.getvalue().splitlines()]

    def events(self, cid: str) -> list[dict[str, Any]]:
        """The events of one trace as log records over OTLP would have them."""
        return [
            {"name": record.event_name, **dict(record.attributes or {})}
            for record in (item.log_record for item in self._logs.get_finished_logs())
            if record.event_name and format_trace_id(record.trace_id or 0) == cid
        ]

    def metrics(self) -> dict[Series, float]:
        """What the counters and histogram counts grew by in this test, without those that stood still."""
        now = self._read()
        grown = {series: value - self._before.get(series, 0) for series, value in now.items()}
        return {series: value for series, value in grown.items() if value}

    def everything(self) -> str:
        """Every byte of every signal, as one text: to prove that something is not in it."""
        spans = [span.to_json() for span in self.spans()]
        names = [
            f"{format_span_id(s.context.span_id)} {s.status.description} {s.events}" for s in self.spans()
        ]
        logs = [item.to_json() for item in self._logs.get_finished_logs()]
        lines = generate_latest(self.telemetry.registry).decode().splitlines()
        # A value is a number, and may be any.
        metrics = "\n".join(line if line.startswith("#") else line.rpartition(" ")[0] for line in lines)
        recorded = [repr(trace) for trace in self.telemetry.recorder.recent(10_000)]
        return "\n".join([*spans, *names, *logs, self.stdout.getvalue(), metrics, *recorded])

    def reset(self) -> None:
        """Begin a test."""
        self.spans()
        self._spans.clear()
        self._logs.clear()
        activity.take()
        self.telemetry.recorder.clear()
        self.stdout.seek(0)
        self.stdout.truncate()
        self._before = self._read()

    def _read(self) -> dict[Series, float]:
        values: dict[Series, float] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        labels = tuple(sorted((k, str(v)) for k, v in (point.attributes or {}).items()))
                        if isinstance(point, HistogramDataPoint):
                            values[metric.name, labels] = point.count
                        elif isinstance(point, NumberDataPoint) and metric.data.__class__.__name__ == "Sum":
                            values[metric.name, labels] = point.value
        return values


@pytest.fixture(scope="session")
def _installed() -> Iterator[Captured]:
    settings = Settings(
        _env_file=None,
        bot_token=TOKEN,
        webhook_secret=SECRETS[0],
        hash_key=SECRETS[1],
        log_level="DEBUG",
        otel_export_interval_ms=50,
    )
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK left it without types
    sinks = Sinks([spans], [SimpleLogRecordProcessor(logs)], [metrics])
    stdout = io.StringIO()
    telemetry = start_telemetry(settings, sinks, stdout, strict=True)
    yield Captured(telemetry, spans, logs, metrics, stdout)
    telemetry.shutdown()


@pytest.fixture
def telemetry(_installed: Captured) -> Captured:
    """The signals of this test."""
    _installed.reset()
    return _installed
