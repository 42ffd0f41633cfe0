"""Wraps aiogram's classes and puts them back; what the wrappers do is in `updates` and `requests`."""

from collections.abc import Callable, Collection
from typing import Any, Final

from aiogram import Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.manager import RequestMiddlewareManager
from aiogram.dispatcher.event.handler import HandlerObject
from wrapt import wrap_function_wrapper

from opentelemetry.instrumentation.aiogram.package import _instruments
from opentelemetry.instrumentation.aiogram.requests import RequestTracing
from opentelemetry.instrumentation.aiogram.safety import raise_telemetry_errors
from opentelemetry.instrumentation.aiogram.semconv import SCHEMA_URL, SCOPE_NAME
from opentelemetry.instrumentation.aiogram.updates import UpdateTracing
from opentelemetry.instrumentation.aiogram.version import __version__
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]
from opentelemetry.instrumentation.utils import unwrap
from opentelemetry.trace import get_tracer

_WRAPPED: Final[tuple[tuple[type, str], ...]] = (
    (Dispatcher, "feed_update"),
    (HandlerObject, "call"),
    (RequestMiddlewareManager, "wrap_middlewares"),
    (AiohttpSession, "stream_content"),
)


class AiogramInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Traces every Dispatcher and Bot of the process, made before or after `instrument`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """The versions of aiogram that this package knows."""
        return _instruments

    def _instrument(self, **kwargs: Any) -> None:
        raise_telemetry_errors(kwargs.get("raise_telemetry_errors"))
        tracer = get_tracer(SCOPE_NAME, __version__, kwargs.get("tracer_provider"), SCHEMA_URL)
        updates, requests = UpdateTracing(tracer), RequestTracing(tracer)
        wrappers: tuple[Callable[..., Any], ...] = (
            updates.feed_update,
            updates.call_handler,
            requests.wrap_middlewares,
            requests.stream_content,
        )
        for (owner, name), wrapper in zip(_WRAPPED, wrappers, strict=True):
            wrap_function_wrapper(owner, name, wrapper)

    def _uninstrument(self, **kwargs: Any) -> None:
        for owner, name in _WRAPPED:
            unwrap(owner, name)
            _drop_copy_of_inherited(owner, name)


def _drop_copy_of_inherited(owner: type, name: str) -> None:
    # `HandlerObject` inherits `call`: `unwrap` leaves the parent's function in its own namespace.
    own = vars(owner).get(name)
    if any(vars(parent).get(name) is own for parent in owner.__mro__[1:]):
        delattr(owner, name)
