"""Puts the wrappers into aiogram's classes and takes them out; what they do is in the modules that make them."""

from collections.abc import Collection
from typing import Any

from aiogram import Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.manager import RequestMiddlewareManager
from aiogram.dispatcher.event.handler import FilterObject, HandlerObject
from aiogram.dispatcher.event.telegram import TelegramEventObserver
from aiogram.fsm.middleware import FSMContextMiddleware

from opentelemetry.instrumentation.aiogram.files import DownloadTracing
from opentelemetry.instrumentation.aiogram.isolation import time_the_lock
from opentelemetry.instrumentation.aiogram.metrics import metrics_of
from opentelemetry.instrumentation.aiogram.package import _instruments
from opentelemetry.instrumentation.aiogram.patches import Patches, watched
from opentelemetry.instrumentation.aiogram.requests import RequestTracing
from opentelemetry.instrumentation.aiogram.safety import raise_telemetry_errors
from opentelemetry.instrumentation.aiogram.semconv import SCHEMA_URL, SCOPE_NAME
from opentelemetry.instrumentation.aiogram.updates import UpdateTracing, leave_trail
from opentelemetry.instrumentation.aiogram.version import __version__
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.metrics import get_meter
from opentelemetry.trace import get_tracer


class AiogramInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Traces every Dispatcher and Bot of the process, made before or after `instrument`."""

    _patches = Patches()

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of aiogram that this package knows."""
        return _instruments

    def _instrument(self, **kwargs: Any) -> None:
        raise_telemetry_errors(kwargs.get("raise_telemetry_errors"))
        tracer = get_tracer(SCOPE_NAME, __version__, kwargs.get("tracer_provider"), SCHEMA_URL)
        meter = get_meter(SCOPE_NAME, __version__, kwargs.get("meter_provider"), SCHEMA_URL)
        metrics = metrics_of(meter)
        explains: bool = kwargs.get("explain_unhandled", True)
        updates = UpdateTracing(
            tracer, metrics, kwargs.get("update_hook"), kwargs.get("unhandled_hook"), explains
        )
        requests = RequestTracing(tracer, metrics, kwargs.get("request_hook"), kwargs.get("response_hook"))
        downloads = DownloadTracing(tracer)
        replace = self._patches.replace
        replace(Dispatcher, "feed_update", updates.feed_update)
        replace(Dispatcher, "silent_call_request", updates.answers.send)
        replace(HandlerObject, "call", updates.call_handler)
        replace(FSMContextMiddleware, "__call__", time_the_lock)
        replace(RequestMiddlewareManager, "wrap_middlewares", requests.wrap_middlewares)
        replace(AiohttpSession, "stream_content", downloads.stream_content)
        if explains:
            for owner, name in ((TelegramEventObserver, "trigger"), (FilterObject, "call")):
                replace(owner, name, lambda original: watched(original, leave_trail))

    def _uninstrument(self, **kwargs: Any) -> None:
        self._patches.undo()
