"""The side of the Dispatcher: a CONSUMER span per update and an INTERNAL span per handler that was called for it.

An error that an error handler or a middleware swallows still marks the update, since the handler did not do its work.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from aiogram.dispatcher.event.bases import REJECTED, UNHANDLED, CancelHandler, SkipHandler
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.types import ErrorEvent, TelegramObject, Update
from aiogram.types.update import UpdateTypeLookupError

from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.handlers import HandlerDirectory, HandlerNames, is_own_listener
from opentelemetry.instrumentation.aiogram.safety import guarded
from opentelemetry.instrumentation.aiogram.spans import Attributes, Scope, observe
from opentelemetry.trace import Span, SpanKind, Tracer

_Call = Callable[..., Awaitable[Any]]

_current_update: ContextVar["UpdateScope | None"] = ContextVar("aiogram_update_scope", default=None)


class UpdateScope(Scope):
    """The span of one update, and what its handlers have told about it so far."""

    __slots__ = ("_error", "_handler", "_outer")

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self._handler: HandlerNames | None = None
        # The class alone: an exception holds the frames that hold this scope.
        self._error: type[BaseException] | None = None
        self._outer = _current_update.set(self)

    def note(self, handler: HandlerNames | None, error: type[BaseException] | None) -> None:
        """Remember which handler ended the update. The first error stays: what follows it is clean-up."""
        if self._error is None:
            self._handler = handler or self._handler
            self._error = error

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record outcome, handler and error of the update."""
        if not self.span.is_recording():
            return
        failure = self._error or _failure(error)
        if failure is not None:
            self.mark_failed(failure)
        self.span.set_attribute(semconv.TELEGRAM_UPDATE_OUTCOME, _outcome(result, error, failure))
        if self._handler is not None:
            self.span.set_attribute(semconv.TELEGRAM_HANDLER, self._handler.function)
            self.span.set_attribute(semconv.TELEGRAM_ROUTER, self._handler.router)

    def leave(self) -> None:
        """Make the update around this one current again, if there is one."""
        _current_update.reset(self._outer)
        super().leave()


class HandlerScope(Scope):
    """The span of one call of a handler, which tells the update how it went."""

    __slots__ = ("event", "names")

    names: HandlerNames
    event: TelegramObject

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record an error; skipping and cancelling are how handlers direct the flow."""
        failure = _failure(error)
        if failure is not None:
            self.mark_failed(failure)
        update = _current_update.get()
        if update is None:
            return
        if isinstance(self.event, ErrorEvent):
            update.note(None, type(self.event.exception))
        elif not isinstance(error, SkipHandler) and not _passed_on(result):
            update.note(self.names, failure)


class UpdateTracing:
    """The wrappers around `Dispatcher.feed_update` and `HandlerObject.call`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._directory = HandlerDirectory()

    async def feed_update(self, wrapped: _Call, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Trace one update, whatever way it came."""
        return await observe(self._open_update(args, kwargs), wrapped, args, kwargs)

    async def call_handler(
        self, wrapped: _Call, handler: HandlerObject, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Trace one call of a handler."""
        return await observe(self._open_handler(handler, args, kwargs), wrapped, args, kwargs)

    @guarded
    def _open_update(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> UpdateScope | None:
        update: Update = kwargs["update"] if "update" in kwargs else args[1]
        update_type = _update_type(update)
        attributes = {**_update_attributes(update_type), semconv.MESSAGING_MESSAGE_ID: str(update.update_id)}
        name = semconv.update_span_name(update_type)
        return UpdateScope.open(self._tracer, name, SpanKind.CONSUMER, attributes)

    @guarded
    def _open_handler(
        self, handler: HandlerObject, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HandlerScope | None:
        # Callbacks of start-up and shutdown come this way too: they are given no event.
        if not args or not isinstance(args[0], TelegramObject) or is_own_listener(handler):
            return None
        names = self._directory.names_of(handler, kwargs.get("event_router"))
        scope = HandlerScope.open(self._tracer, names.span_name, SpanKind.INTERNAL, names.attributes)
        if scope is not None:
            scope.names, scope.event = names, args[0]
        return scope


def _update_type(update: Update) -> str:
    try:
        return update.event_type
    except UpdateTypeLookupError:
        return semconv.UPDATE_TYPE_UNKNOWN


@lru_cache(maxsize=128)
def _update_attributes(update_type: str) -> Attributes:
    return {
        semconv.MESSAGING_SYSTEM: semconv.SYSTEM_TELEGRAM,
        semconv.MESSAGING_OPERATION_NAME: semconv.OPERATION_PROCESS,
        semconv.MESSAGING_OPERATION_TYPE: semconv.OPERATION_PROCESS,
        semconv.MESSAGING_DESTINATION_NAME: update_type,
        semconv.TELEGRAM_UPDATE_TYPE: update_type,
    }


def _failure(error: BaseException | None) -> type[BaseException] | None:
    return None if error is None or isinstance(error, (SkipHandler, CancelHandler)) else type(error)


def _passed_on(result: object) -> bool:
    return result is UNHANDLED or result is REJECTED


def _outcome(result: object, error: BaseException | None, failure: type[BaseException] | None) -> str:
    if failure is not None:
        return semconv.OUTCOME_ERROR
    if isinstance(error, CancelHandler):
        return semconv.OUTCOME_CANCELLED
    if isinstance(error, SkipHandler) or _passed_on(result):
        return semconv.OUTCOME_UNHANDLED
    return semconv.OUTCOME_HANDLED
