"""The only module that knows the OpenTelemetry SDK and its exporters: what stands behind the API is chosen here.

Every signal passes the scrubber on its way out. Export runs on the SDK's own threads and never blocks an update; what
does not fit its queue is dropped. The providers are global and can be set once a process.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, TextIO

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.aiogram import AiogramInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status, format_span_id, format_trace_id
from prometheus_client import CollectorRegistry

from app.telemetry import events, identity, logs
from app.telemetry.catalogue import CATALOGUE, Metric
from app.telemetry.exemplars import ExemplarReader
from app.telemetry.recorder import Recorder, SpanRecord
from app.telemetry.redaction import Scrubber

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_EXPORT_TIMEOUT_S = 5
_SHUTDOWN_S = 4.0


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """What `setup` needs to know. `secrets` are masked wherever they turn up; `strict` lets telemetry raise."""

    service_name: str = "tracegram"
    service_version: str = "0"
    otlp_endpoint: str = ""
    otlp_headers: Mapping[str, str] = field(default_factory=dict)
    export_interval_ms: int = 1000
    log_level: str = "INFO"
    hash_key: str = ""
    strict: bool = False
    secrets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sinks:
    """Further places for the signals, beside OTLP and the recorder: the tests' memory."""

    spans: Sequence[SpanExporter] = ()
    logs: Sequence[LogRecordProcessor] = ()
    metrics: Sequence[MetricReader] = ()


@dataclass(slots=True)
class Telemetry:
    """What `setup` made: the recorder for `/debug`, the registry for `/metrics`, and the end of it all."""

    recorder: Recorder
    registry: CollectorRegistry
    scrubber: Scrubber
    verbosity: logs.Verbosity
    _providers: list[TracerProvider | MeterProvider | LoggerProvider] = field(default_factory=list)
    _undos: list[Callable[[], object]] = field(default_factory=list)

    def flush(self) -> None:
        """Export what is left now. Blocks until the Collector has it, or the exporters give up."""
        for provider in self._providers:
            provider.force_flush()

    def shutdown(self) -> None:
        """Export what is left and stop: side by side, and for 4 s at most when the Collector does not answer."""
        threads = [Thread(target=provider.shutdown, daemon=True) for provider in self._providers]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + _SHUTDOWN_S
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        # The log handler goes last: what the exporters say at their end is scrubbed, too.
        while self._undos:
            self._undos.pop()()


class ScrubbingExporter(SpanExporter):
    """Passes spans on with secrets masked and status texts left out: drivers put data into those."""

    def __init__(self, inner: SpanExporter, scrubber: Scrubber) -> None:
        self._inner = inner
        self._scrubber = scrubber

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export scrubbed copies; the spans themselves stay as they are."""
        return self._inner.export([self._clean(span) for span in spans])

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=self._scrubber.text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._scrubber.attributes(span.attributes or {}),
            events=(),
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def shutdown(self) -> None:
        """Shut the inner exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner exporter."""
        return self._inner.force_flush(timeout_millis)


class StatementNames(SpanProcessor):
    """Names a database span by its statement alone: the instrumentation adds the database, for SQLite its path."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Shorten the name of one span."""
        scope = span.instrumentation_scope
        if scope is not None and scope.name == "opentelemetry.instrumentation.sqlalchemy":
            span.update_name(span.name.split(" ", 1)[0])


class RecorderProcessor(SpanProcessor):
    """Gives each finished span to the flight recorder."""

    def __init__(self, recorder: Recorder, scrubber: Scrubber) -> None:
        self._recorder = recorder
        self._scrubber = scrubber

    def on_end(self, span: ReadableSpan) -> None:
        """Record one span."""
        context = span.context
        self._recorder.add(
            SpanRecord(
                trace_id=format_trace_id(context.trace_id),
                span_id=format_span_id(context.span_id),
                parent_id=format_span_id(span.parent.span_id) if span.parent else None,
                name=self._scrubber.text(span.name),
                kind=span.kind.name.lower(),
                start_ns=span.start_time or 0,
                end_ns=span.end_time or 0,
                status=span.status.status_code.name.lower(),  # type: ignore[arg-type]  # the enum's three names
                attributes=self._scrubber.attributes(span.attributes or {}),
                linked_traces=tuple(format_trace_id(link.context.trace_id) for link in span.links),
            )
        )


def setup(config: TelemetryConfig, sinks: Sinks | None = None, log_stream: TextIO | None = None) -> Telemetry:
    """Install the providers, instrument aiogram, and take the logging over (to stdout, or `log_stream`)."""
    sinks = sinks or Sinks()
    # The stable names (`db.system.name`); read once, by the first instrumentation that starts.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    scrubber = Scrubber(config.secrets)
    identity.use_key(config.hash_key)
    events.use_strict(config.strict)
    resource = Resource.create(
        {"service.name": config.service_name, "service.version": config.service_version}
    )
    telemetry = Telemetry(Recorder(), CollectorRegistry(), scrubber, logs.Verbosity(config.log_level))
    _setup_traces(config, sinks, resource, telemetry)
    _setup_metrics(config, sinks, resource, telemetry)
    handler, undo = logs.configure(config.log_level, scrubber, log_stream)
    handler.on_event = telemetry.recorder.add_event
    telemetry._undos.append(undo)
    _setup_logs(config, sinks, resource, telemetry, handler)
    AiogramInstrumentor().instrument()
    telemetry._undos.append(AiogramInstrumentor().uninstrument)
    return telemetry


def instrument_engine(engine: Engine) -> Callable[[], None]:
    """Trace the statements of one SQLAlchemy engine. Returns the undoing; one engine at a time."""
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine)

    def undo() -> None:
        instrumentor.uninstrument()

    return undo


def _setup_traces(config: TelemetryConfig, sinks: Sinks, resource: Resource, telemetry: Telemetry) -> None:
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(StatementNames())
    provider.add_span_processor(RecorderProcessor(telemetry.recorder, telemetry.scrubber))
    exporters = [*sinks.spans]
    if config.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporters.append(
            OTLPSpanExporter(
                f"{config.otlp_endpoint}/v1/traces", headers=config.otlp_headers, timeout=_EXPORT_TIMEOUT_S
            )
        )
    for exporter in exporters:
        scrubbing = ScrubbingExporter(exporter, telemetry.scrubber)
        provider.add_span_processor(
            BatchSpanProcessor(scrubbing, schedule_delay_millis=config.export_interval_ms)
        )
    trace.set_tracer_provider(provider)
    telemetry._providers.append(provider)


def _setup_metrics(config: TelemetryConfig, sinks: Sinks, resource: Resource, telemetry: Telemetry) -> None:
    readers: list[MetricReader] = [ExemplarReader(telemetry.registry), *sinks.metrics]
    if config.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter(
            f"{config.otlp_endpoint}/v1/metrics", headers=config.otlp_headers, timeout=_EXPORT_TIMEOUT_S
        )
        readers.append(PeriodicExportingMetricReader(exporter, export_interval_millis=15_000))
    provider = MeterProvider(
        readers, resource, shutdown_on_exit=False, views=[*map(_view, CATALOGUE), _NOTHING_ELSE]
    )
    metrics.set_meter_provider(provider)
    telemetry._providers.append(provider)


#: Drops what this instrumentation measures, under names of its own: only the catalogue comes out.
_NOTHING_ELSE = View(
    instrument_name="*",
    meter_name="opentelemetry.instrumentation.sqlalchemy",
    aggregation=DropAggregation(),
)


def _view(metric: Metric) -> View:
    """Let only declared labels through, and give a histogram its buckets."""
    return View(
        instrument_name=metric.name,
        attribute_keys={label.key for label in metric.labels},
        aggregation=ExplicitBucketHistogramAggregation(metric.buckets) if metric.buckets else None,
    )


def _setup_logs(
    config: TelemetryConfig,
    sinks: Sinks,
    resource: Resource,
    telemetry: Telemetry,
    handler: logs.TelemetryHandler,
) -> None:
    processors = [*sinks.logs]
    if config.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

        exporter = OTLPLogExporter(
            f"{config.otlp_endpoint}/v1/logs", headers=config.otlp_headers, timeout=_EXPORT_TIMEOUT_S
        )
        processors.append(BatchLogRecordProcessor(exporter, schedule_delay_millis=config.export_interval_ms))
    if not processors:
        return
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        provider.add_log_record_processor(processor)
    handler.otlp = provider.get_logger("tracegram")
    telemetry._providers.append(provider)
    # A truncated attribute is not worth a line for each record.
    logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)
