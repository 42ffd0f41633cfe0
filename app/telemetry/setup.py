"""The only module that chooses what stands behind the OpenTelemetry API: providers, recorder, exporter, log handler.

Every signal is scrubbed on its way out. Export runs on one thread of its own and never blocks an update; what does not
fit its queue is dropped and counted. The providers are global and can be set once a process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any, TextIO

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.aiogram import AiogramInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from prometheus_client import CollectorRegistry

from app.telemetry import events, identity, labels, logs
from app.telemetry.again import SendAgain, sending_again
from app.telemetry.catalogue import (
    LOG_QUEUE_CAPACITY,
    LOG_QUEUE_SIZE,
    LOGS_EXPORTED,
    SPAN_QUEUE_CAPACITY,
    SPAN_QUEUE_SIZE,
    SPANS_EXPORTED,
    TELEMETRY_DROPPED,
    Metric,
)
from app.telemetry.entry import Entry
from app.telemetry.exemplars import ExemplarReader
from app.telemetry.instruments import add, begin_at_zero, observe
from app.telemetry.meters import Meters
from app.telemetry.otlp.exporter import Channel, Exporter
from app.telemetry.otlp.metrics import Metrics
from app.telemetry.otlp.queues import MOST
from app.telemetry.otlp.records import RecordEncoder
from app.telemetry.otlp.sending import Sender
from app.telemetry.otlp.spans import SpanEncoder
from app.telemetry.recorder import EventRecord, Recorder, hexadecimal
from app.telemetry.redaction import Scrubber
from app.telemetry.routing import tell_unrouted
from app.telemetry.spans import Cleaned, Everything, Spans

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
    hash_rotation: identity.Rotation = "month"
    strict: bool = False
    secrets: Sequence[str] = ()
    trace_memory_mb: int = 32


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
    exporter: Exporter
    #: Sends a recorded trace once more; None without a Collector.
    again: SendAgain | None = None
    _closing: list[Callable[[], object]] = field(default_factory=list)
    _undos: list[Callable[[], object]] = field(default_factory=list)

    def health(self) -> Mapping[str, int]:
        """What went lost of each signal, and how much waits for its export."""
        return self.exporter.health()

    def flush(self) -> None:
        """Export what is left now. Blocks until the Collector has it, or does not answer in time."""
        self.exporter.flush()

    def shutdown(self) -> None:
        """Export what is left and stop: side by side, and for 4 s at most when the Collector does not answer."""
        closing = [self.exporter.shutdown, *self._closing]
        threads = [Thread(target=close, daemon=True) for close in closing]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + _SHUTDOWN_S
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        # The log handler goes last: what the exporters say at their end is scrubbed, too.
        while self._undos:
            self._undos.pop()()


def setup(config: TelemetryConfig, sinks: Sinks | None = None, log_stream: TextIO | None = None) -> Telemetry:
    """Install the providers, instrument aiogram, and take the logging over (to stdout, or `log_stream`)."""
    sinks = sinks or Sinks()
    # The stable names (`db.system.name`); read once, by the first instrumentation that starts.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
    scrubber = Scrubber(config.secrets)
    identity.use_key(config.hash_key, config.hash_rotation)
    events.use_strict(config.strict)
    labels.use_strict(config.strict)
    resource = Resource.create(
        {"service.name": config.service_name, "service.version": config.service_version}
    )
    telemetry = Telemetry(
        Recorder(max_bytes=config.trace_memory_mb * 1024 * 1024),
        CollectorRegistry(),
        scrubber,
        logs.Verbosity(config.log_level),
        Exporter(config.export_interval_ms / 1000, _told()),
    )
    handler, undo = logs.configure(config.log_level, scrubber, log_stream)
    telemetry._undos.append(undo)
    # Logs leave first: who finds a trace finds its lines.
    _setup_logs(config, sinks, resource, telemetry, handler)
    _setup_traces(config, sinks, resource, telemetry)
    _setup_metrics(config, sinks, resource, telemetry)
    begin_at_zero()
    telemetry.exporter.start()
    # The catalogue measures updates and calls already: a second time would cost half a span each.
    AiogramInstrumentor().instrument(meter_provider=metrics.NoOpMeterProvider(), unhandled_hook=tell_unrouted)
    telemetry._undos.append(AiogramInstrumentor().uninstrument)
    return telemetry


def _told() -> Callable[[Mapping[str, int]], None]:
    """What tells the metric of drops, which it gets as sums."""
    before: dict[str, int] = {}

    def tell(dropped: Mapping[str, int]) -> None:
        for signal, number in dropped.items():
            # Zero at first: a series that begins with its first drop shows no increase.
            if number != before.get(signal):
                add(TELEMETRY_DROPPED, number - before.get(signal, 0), signal=signal)
                before[signal] = number

    return tell


def _sender(config: TelemetryConfig, signal: str) -> Sender:
    return Sender(f"{config.otlp_endpoint}/v1/{signal}", config.otlp_headers, _EXPORT_TIMEOUT_S)


def _watch(channel: Channel[Any], exported: Metric, size: Metric, capacity: Metric) -> None:
    observe(exported, lambda: channel.sent)
    observe(size, lambda: channel.waiting)
    observe(capacity, lambda: MOST)


def instrument_engine(engine: Engine) -> Callable[[], None]:
    """Trace the statements of one SQLAlchemy engine. Returns the undoing; one engine at a time."""
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine)

    def undo() -> None:
        instrumentor.uninstrument()

    return undo


def _setup_traces(config: TelemetryConfig, sinks: Sinks, resource: Resource, telemetry: Telemetry) -> None:
    scrubber, exporter = telemetry.scrubber, telemetry.exporter
    processor = Spans(telemetry.recorder, scrubber, exporter.flush)
    channels = [Channel[ReadableSpan]("spans", list, Cleaned(sink, scrubber)) for sink in sinks.spans]
    if config.otlp_endpoint:
        encoder = SpanEncoder(resource, scrubber.text)
        channels.append(Channel("spans", encoder, _sender(config, "traces")))
        telemetry.again = sending_again(channels[-1].queue)
        _watch(channels[-1], SPANS_EXPORTED, SPAN_QUEUE_SIZE, SPAN_QUEUE_CAPACITY)
    for channel in channels:
        exporter.add(channel)
        processor.queues.append(channel.queue)
    # Everything is kept here, and there is one processor: the SDK's defaults ask questions with one answer.
    provider = TracerProvider(
        sampler=Everything(),
        resource=resource,
        shutdown_on_exit=False,
        active_span_processor=processor,  # type: ignore[arg-type]  # it is never given others to run
    )
    trace.set_tracer_provider(provider)


def _setup_metrics(config: TelemetryConfig, sinks: Sinks, resource: Resource, telemetry: Telemetry) -> None:
    # What SQLAlchemy's instrumentation measures has names of its own: only the catalogue comes out.
    meters = Meters(resource, silent=["opentelemetry.instrumentation.sqlalchemy"])
    for reader in (ExemplarReader(telemetry.registry), *sinks.metrics):
        meters.serve(reader)
    metrics.set_meter_provider(meters)
    if config.otlp_endpoint:
        telemetry.exporter.add(Metrics(meters.collect, _sender(config, "metrics")))


def _setup_logs(
    config: TelemetryConfig,
    sinks: Sinks,
    resource: Resource,
    telemetry: Telemetry,
    handler: logs.TelemetryHandler,
) -> None:
    handler.on_event = _recording(telemetry.recorder, telemetry.scrubber)
    if config.otlp_endpoint:
        encoder = RecordEncoder(resource, telemetry.scrubber.text)
        channel = Channel("logs", encoder, _sender(config, "logs"))
        telemetry.exporter.add(channel)
        _watch(channel, LOGS_EXPORTED, LOG_QUEUE_SIZE, LOG_QUEUE_CAPACITY)
        handler.export = channel.queue.put
    if sinks.logs:
        provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        for processor in sinks.logs:
            provider.add_log_record_processor(processor)
        handler.otlp = provider.get_logger("tracegram")
        telemetry._closing.append(provider.shutdown)


def _recording(recorder: Recorder, scrubber: Scrubber) -> Callable[[Entry, int], None]:
    def record(entry: Entry, size: int) -> None:
        def read() -> EventRecord:
            return EventRecord(entry.at_ns, entry.event_name, scrubber.attributes(entry.fields))

        recorder.keep_event(hexadecimal(entry.context.trace_id), read, size)

    return record
