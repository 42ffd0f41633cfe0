"""The reference bot with OpenTelemetry as blog posts put it in: spans by hand in middlewares, the SDK as it comes.

It says the same as ours under the same names, but for the span at the door, so that the difference is one of means.
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware, Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiogram.types import TelegramObject, Update
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from tests.bench import reference_bot
from tests.bench.variants import Wiring

_log = logging.getLogger("bench.bot")
_tracer = trace.get_tracer("bench.bot")
_meter = metrics.get_meter("bench.bot")
_updates = _meter.create_counter("bot.updates", "{update}", "Updates processed.")
_latency = _meter.create_histogram("bot.update.latency", "s", "Time of an update's processing.")
_delivered = _meter.create_counter("bot.download.success", "{download}", "Downloads delivered.")

_STANDARD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the ids of the current span."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record with its extra fields."""
        line: dict[str, Any] = {
            "ts": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = trace.format_trace_id(context.trace_id)
            line["span_id"] = trace.format_span_id(context.span_id)
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        return json.dumps(line, ensure_ascii=False, default=str)


class UpdateMiddleware(BaseMiddleware):
    """A span, two log records and two metrics around each update."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Process the update inside its span."""
        assert isinstance(event, Update)
        kind = event.event_type
        started = time.perf_counter()
        with _tracer.start_as_current_span(f"process {kind}", kind=SpanKind.CONSUMER) as span:
            span.set_attribute("messaging.system", "telegram")
            span.set_attribute("messaging.operation.name", "process")
            span.set_attribute("messaging.operation.type", "process")
            span.set_attribute("messaging.destination.name", kind)
            span.set_attribute("messaging.message.id", str(event.update_id))
            span.set_attribute("telegram.update.type", kind)
            _log.info(
                "UPDATE_RECEIVED",
                extra={"update_id": event.update_id, "update_type": kind, "door": "webhook"},
            )
            _updates.add(1, {"update_type": kind})
            result = await handler(event, data)
            seconds = time.perf_counter() - started
            span.set_attribute("telegram.update.outcome", "handled")
            span.set_attribute("telegram.handler", data.get("handler_name", ""))
            span.set_attribute("telegram.router", data.get("router_name", ""))
            _latency.record(seconds, {"update_type": kind, "outcome": "handled"})
            _log.info(
                "DISPATCH_OK",
                extra={
                    "update_id": event.update_id,
                    "update_type": kind,
                    "outcome": "handled",
                    "latency_ms": round(seconds * 1000, 1),
                },
            )
            return result


class HandlerMiddleware(BaseMiddleware):
    """A span around the handler."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Run the handler inside its span."""
        name, router = data["handler"].callback.__qualname__, data["event_router"].name
        with _tracer.start_as_current_span(f"handle {name}") as span:
            span.set_attribute("code.function.name", name)
            span.set_attribute("telegram.router", router)
            return await handler(event, data)


class ApiMiddleware(BaseRequestMiddleware):
    """A span around each Bot API call."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Make the call inside its span."""
        name = method.__api_method__
        with _tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
            span.set_attribute("rpc.system.name", "telegram_bot_api")
            span.set_attribute("rpc.method", name)
            span.set_attribute("server.address", "api.telegram.org")
            response = await make_request(bot, method)
            span.set_attribute("rpc.response.status_code", "200")
            message_id = getattr(response, "message_id", None)
            if message_id is not None:
                span.set_attribute("telegram.message.id", message_id)
            return response


class _Probe:
    def tell(self, name: str, **fields: str | int) -> None:
        _log.info(name, extra=fields)

    def delivered(self) -> None:
        _delivered.add(1, {"format": "mp3"})


class Naive:
    """The bot with the usual telemetry."""

    def __init__(self, wiring: Wiring) -> None:
        resource = Resource.create({"service.name": "bench", "service.version": "0"})
        pause: dict[str, Any] = (
            {} if wiring.interval_ms is None else {"schedule_delay_millis": wiring.interval_ms}
        )
        self._traces = TracerProvider(resource=resource)
        spans = OTLPSpanExporter(f"{wiring.sink}/v1/traces")
        self._traces.add_span_processor(BatchSpanProcessor(spans, **pause))
        trace.set_tracer_provider(self._traces)
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{wiring.sink}/v1/metrics"))
        self._metrics = MeterProvider([reader], resource)
        metrics.set_meter_provider(self._metrics)
        self._logs = LoggerProvider(resource=resource)
        records = OTLPLogExporter(f"{wiring.sink}/v1/logs")
        self._logs.add_log_record_processor(BatchLogRecordProcessor(records, **pause))
        set_logger_provider(self._logs)
        self._take_logging_over(wiring)
        self._dispatcher, self._bot = reference_bot.build(_Probe())
        self._dispatcher.update.outer_middleware(UpdateMiddleware())
        self._dispatcher.message.middleware(HandlerMiddleware())
        self._dispatcher.callback_query.middleware(HandlerMiddleware())
        self._bot.session.middleware(ApiMiddleware())

    def _take_logging_over(self, wiring: Wiring) -> None:
        console = logging.StreamHandler(wiring.lines)
        console.setFormatter(JsonFormatter())
        with warnings.catch_warnings():
            # Blog posts know this handler; its successor is in a package of its own.
            warnings.simplefilter("ignore", DeprecationWarning)
            handler = LoggingHandler(logger_provider=self._logs)
        logging.basicConfig(level=logging.INFO, handlers=[console, handler])
        # Its line for each update would be a sixth record, which ours does not send.
        logging.getLogger("aiogram").setLevel(logging.WARNING)

    async def feed(self, raw: bytes) -> None:
        """Process one update as Telegram posts it."""
        await self._dispatcher.feed_update(self._bot, reference_bot.parsed(raw, self._bot))

    def flush(self) -> None:
        """Export everything that is still waiting."""
        self._traces.force_flush()
        self._logs.force_flush()
        self._metrics.force_flush()

    def close(self) -> None:
        """Stop the exporters."""
        self._traces.shutdown()
        self._logs.shutdown()
        self._metrics.shutdown()
