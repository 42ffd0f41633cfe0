"""The side of the Dispatcher: a CONSUMER span per update and an INTERNAL span per handler that was called for it.

An error that an error handler or a middleware swallows still marks the update, since the handler did not do its work.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache, wraps
from time import perf_counter
from types import MethodType
from typing import Any, Final

from aiogram import Dispatcher
from aiogram.dispatcher.event.bases import REJECTED, UNHANDLED, CancelHandler, SkipHandler
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.types import ErrorEvent, Update
from aiogram.types.update import UpdateTypeLookupError

from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.answers import Answers
from opentelemetry.instrumentation.aiogram.handlers import HandlerDirectory, HandlerNames
from opentelemetry.instrumentation.aiogram.metrics import Metrics
from opentelemetry.instrumentation.aiogram.patches import Watched
from opentelemetry.instrumentation.aiogram.routing import Routing, Trail, explain
from opentelemetry.instrumentation.aiogram.safety import call_hook, swallow
from opentelemetry.instrumentation.aiogram.spans import Attributes, Opened, Scope, open_span
from opentelemetry.trace import Span, SpanKind, Tracer

_Call = Callable[..., Awaitable[Any]]

UpdateHook = Callable[[Span, Update], None]
UnhandledHook = Callable[[Span, Update, Routing], None]

current_update: ContextVar["UpdateScope | None"] = ContextVar("aiogram_update_scope", default=None)


def leave_trail(passed: object) -> None:
    """Note that the current update came by."""
    update = current_update.get()
    if update is not None and update.trail is not None:
        update.trail.passed.append(passed)


class UpdateScope(Scope):
    """The span of one update, and what has happened to it so far."""

    __slots__ = (
        "_dispatcher",
        "_error",
        "_handler",
        "_outer",
        "_tracing",
        "_type",
        "_update",
        "trail",
        "waited",
    )

    def __init__(
        self, tracing: "UpdateTracing", opened: Opened, dispatcher: Dispatcher, update: Update, kind: str
    ) -> None:
        super().__init__(opened)
        self._tracing = tracing
        self._dispatcher = dispatcher
        self._update = update
        self._type = kind
        self._handler: HandlerNames | None = None
        # The class alone: an exception holds the frames that hold this scope.
        self._error: type[BaseException] | None = None
        self.trail = Trail() if tracing.explains and opened.span.is_recording() else None
        #: Seconds in which the update waited for its turn.
        self.waited: float | None = None
        self._outer = current_update.set(self)

    def note(self, handler: HandlerNames | None, error: type[BaseException] | None) -> None:
        """Remember which handler ended the update. The first error stays: what follows it is clean-up."""
        if self._error is None:
            self._handler = handler or self._handler
            self._error = error

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record outcome, handler and error of the update."""
        failure = self._error or _failure(error)
        outcome = _outcome(result, error, failure)
        if self._tracing.metrics is not None:
            self._tracing.metrics.processed(perf_counter() - self.started, self._type, outcome, failure)
        if not self.span.is_recording():
            return
        taken = self._handler
        self.span.set_attributes(_NOBODYS[outcome] if taken is None else taken.of_update(outcome))
        if failure is not None:
            self.mark_failed(failure)
        if self.waited is not None:
            self.span.set_attribute(semconv.TELEGRAM_EVENT_ISOLATION_WAIT, self.waited)
        if result is not None:
            self._tracing.answers.keep(self.span, result)
        if taken is None and outcome in _NOT_TAKEN and self.trail is not None:
            self._tracing.explain(self.span, self._dispatcher, self._update, self._type, self.trail)

    def leave(self) -> None:
        """Make the update around this one current again, if there is one."""
        current_update.reset(self._outer)
        super().leave()


class HandlerScope(Scope):
    """The span of one call of a handler, which tells the update how it went."""

    __slots__ = ("_event", "_handler", "_names")

    def __init__(self, opened: Opened, handler: HandlerObject, names: HandlerNames, event: object) -> None:
        super().__init__(opened)
        self._handler = handler
        self._names = names
        self._event = event

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record an error; skipping and cancelling are how handlers direct the flow."""
        failure = _failure(error)
        if failure is not None:
            self.mark_failed(failure)
        update = current_update.get()
        if update is None:
            return
        if type(self._event) is ErrorEvent:
            update.note(None, type(self._event.exception))
        elif not isinstance(error, SkipHandler) and not _passed_on(result):
            update.note(self._names, failure)
        elif update.trail is not None:
            update.trail.declined.append(self._handler)


class UpdateTracing:
    """Makes what stands in the place of aiogram's methods."""

    def __init__(
        self,
        tracer: Tracer,
        metrics: Metrics | None = None,
        update_hook: UpdateHook | None = None,
        unhandled_hook: UnhandledHook | None = None,
        explains: bool = True,
    ) -> None:
        self._tracer = tracer
        self._directory = HandlerDirectory()
        self._update_hook = update_hook
        self._unhandled_hook = unhandled_hook
        self.metrics = metrics
        self.explains = explains
        self.answers = Answers()

    def feed_update(self, original: _Call) -> _Call:
        """For `Dispatcher.feed_update`: the span of an update, whatever way it came."""

        @wraps(original)
        async def feed_update(dispatcher: Dispatcher, /, bot: Any, update: Update, **kwargs: Any) -> Any:
            scope = self._open_update(dispatcher, update)
            if scope is None:
                return await original(dispatcher, bot, update, **kwargs)
            try:
                result = await original(dispatcher, bot, update, **kwargs)
            except BaseException as error:
                scope.finish(None, error)
                raise
            scope.finish(result, None)
            return result

        return feed_update

    def call_handler(self, original: _Call) -> Watched:
        """For `HandlerObject.call`, which aiogram reads when all filters of the handler have said yes."""

        @wraps(original)
        async def call(handler: HandlerObject, /, *args: Any, **kwargs: Any) -> Any:
            scope = self._open_handler(handler, args, kwargs)
            if scope is None:
                return await original(handler, *args, **kwargs)
            try:
                result = await original(handler, *args, **kwargs)
            except BaseException as error:
                scope.finish(None, error)
                raise
            scope.finish(result, None)
            return result

        def read(handler: HandlerObject) -> _Call:
            # Callbacks of start-up and shutdown, which have no filters, are no handlers.
            if handler.filters is None:
                return MethodType(original, handler)
            leave_trail(handler)
            return MethodType(original if self._directory.is_listener(handler) else call, handler)

        return Watched(call, read)

    def explain(self, span: Span, dispatcher: Dispatcher, update: Update, kind: str, trail: Trail) -> None:
        """Tell why nobody took an update."""
        routing = explain(dispatcher, kind, trail)
        span.set_attribute(semconv.TELEGRAM_ROUTING_REASON, routing.reason)
        if routing.tried:
            span.set_attribute(semconv.TELEGRAM_ROUTING_TRIED, routing.texts())
        if self._unhandled_hook is not None:
            call_hook("unhandled_hook", self._unhandled_hook, span, update, routing)

    def _open_update(self, dispatcher: Dispatcher, update: Update) -> UpdateScope | None:
        try:
            kind = update_type(update)
            name, attributes = _start(kind)
            opened = open_span(
                self._tracer,
                name,
                SpanKind.CONSUMER,
                {**attributes, semconv.MESSAGING_MESSAGE_ID: str(update.update_id)},
                metered=self.metrics is not None,
            )
            if opened is None:
                return None
            if self._update_hook is not None and opened.span.is_recording():
                call_hook("update_hook", self._update_hook, opened.span, update)
            if self.metrics is not None:
                self.metrics.consumed(kind)
            return UpdateScope(self, opened, dispatcher, update, kind)
        except Exception as error:
            swallow("UpdateTracing.open_update", error)
            return None

    def _open_handler(
        self, handler: HandlerObject, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HandlerScope | None:
        try:
            names = self._directory.names_of(handler, kwargs.get("event_router"))
            # Who only measures updates, too, must learn from their handlers how they ended.
            measured = current_update.get() is not None
            opened = open_span(
                self._tracer, names.span_name, SpanKind.INTERNAL, names.attributes, metered=measured
            )
            return HandlerScope(opened, handler, names, args[0] if args else None) if opened else None
        except Exception as error:
            swallow("UpdateTracing.open_handler", error)
            return None


def update_type(update: Update) -> str:
    """The type of an update, or `unknown` for one that the installed aiogram does not know."""
    # `Update.event_type` hashes the whole update: what was set tells the same for less.
    given = update.model_fields_set
    if len(given) == 2:
        for name in given:
            if name in _TYPES and getattr(update, name) is not None:
                return name
    try:
        return update.event_type
    except UpdateTypeLookupError:
        return semconv.UPDATE_TYPE_UNKNOWN


@lru_cache(maxsize=128)
def _start(update_type: str) -> tuple[str, Attributes]:
    return semconv.update_span_name(update_type), {
        semconv.MESSAGING_SYSTEM: semconv.SYSTEM_TELEGRAM,
        semconv.MESSAGING_OPERATION_NAME: semconv.OPERATION_PROCESS,
        semconv.MESSAGING_OPERATION_TYPE: semconv.OPERATION_PROCESS,
        semconv.MESSAGING_DESTINATION_NAME: update_type,
        semconv.TELEGRAM_UPDATE_TYPE: update_type,
    }


_TYPES: Final = frozenset(Update.model_fields) - {"update_id"}
_NOT_TAKEN: Final = {semconv.OUTCOME_HANDLED, semconv.OUTCOME_UNHANDLED}
_NOBODYS: Final[dict[str, Attributes]] = {
    outcome: {semconv.TELEGRAM_UPDATE_OUTCOME: outcome}
    for outcome in (*_NOT_TAKEN, semconv.OUTCOME_CANCELLED, semconv.OUTCOME_ERROR)
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
