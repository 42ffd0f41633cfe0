"""The side of the Bot API: a CLIENT span per attempt, inside the session's request middlewares.

HTTP instrumentation is switched off below it, always: the token stands in the path of every URL of the Bot API.
"""

from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps
from time import perf_counter
from typing import Any, Final

from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetUpdates, TelegramMethod
from aiogram.types import Message, MessageId

from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, set_value
from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.metrics import Call, Metrics
from opentelemetry.instrumentation.aiogram.safety import call_hook, swallow
from opentelemetry.instrumentation.aiogram.servers import server_attributes
from opentelemetry.instrumentation.aiogram.spans import Attributes, AttributeValue, Opened, Scope, open_span
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.trace import Span, SpanKind, Tracer

_LONG_POLL = GetUpdates.__api_method__

_MakeRequest = Callable[..., Awaitable[Any]]

RequestHook = Callable[[Span, TelegramMethod[Any]], None]
ResponseHook = Callable[[Span, TelegramMethod[Any], Any], None]

# aiogram keeps the kind of an error and not its number: any 5xx is a TelegramServerError. The others are exact.
_STATUS_CODES: Final[dict[type[Exception], str]] = {
    TelegramBadRequest: "400",
    TelegramMigrateToChat: "400",
    TelegramUnauthorizedError: "401",
    TelegramForbiddenError: "403",
    TelegramNotFound: "404",
    TelegramConflictError: "409",
    TelegramEntityTooLarge: "413",
    TelegramRetryAfter: "429",
    TelegramServerError: "500",
}
_OK: Final[Attributes] = {semconv.RPC_RESPONSE_STATUS_CODE: semconv.STATUS_OK}


class RequestScope(Scope):
    """The span of one attempt at a Bot API call."""

    __slots__ = ("_call", "_method", "_tracing")

    def __init__(
        self, tracing: "RequestTracing", opened: Opened, call: Call, method: TelegramMethod[Any]
    ) -> None:
        super().__init__(opened)
        self._tracing = tracing
        self._call = call
        self._method = method

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record the answer: status code, waiting time asked for, message that came of it."""
        tracing = self._tracing
        status = semconv.STATUS_OK if error is None else _status_code(error)
        if tracing.metrics is not None:
            kind = None if error is None else type(error)
            tracing.metrics.called(perf_counter() - self.started, self._call, status, kind)
        if not self.span.is_recording():
            return
        if error is None:
            self.span.set_attributes(_answer(result))
        else:
            self._describe_error(error, status)
        if tracing.response_hook is not None:
            answer = result if error is None else error
            call_hook("response_hook", tracing.response_hook, self.span, self._method, answer)

    def _describe_error(self, error: BaseException, status: str | None) -> None:
        self.mark_failed(type(error))
        if status is not None:
            self.span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, status)
        if isinstance(error, TelegramRetryAfter):
            self.span.set_attribute(semconv.TELEGRAM_RETRY_AFTER, error.retry_after)


class RequestTracing:
    """Makes what stands in the place of `RequestMiddlewareManager.wrap_middlewares`."""

    def __init__(
        self,
        tracer: Tracer,
        metrics: Metrics | None = None,
        request_hook: RequestHook | None = None,
        response_hook: ResponseHook | None = None,
    ) -> None:
        self._tracer = tracer
        self.metrics = metrics
        self._request_hook = request_hook
        self.response_hook = response_hook

    def wrap_middlewares(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `RequestMiddlewareManager.wrap_middlewares`, which a session calls once for each call of the bot's."""

        @wraps(original)
        def wrap_middlewares(manager: Any, callback: _MakeRequest, **kwargs: Any) -> Any:
            # Between the innermost middleware and the session: a middleware that retries comes here again.
            return original(manager, self._attempts(callback), **kwargs)

        return wrap_middlewares

    def _attempts(self, make_request: _MakeRequest) -> _MakeRequest:
        made = -1

        async def attempt(bot: Bot, method: TelegramMethod[Any], **kwargs: Any) -> Any:
            nonlocal made
            made += 1
            scope = self._open(bot, method, made)
            if scope is None:
                with suppress_http_instrumentation():
                    return await make_request(bot, method, **kwargs)
            try:
                result = await make_request(bot, method, **kwargs)
            except BaseException as error:
                scope.finish(None, error)
                raise
            scope.finish(result, None)
            return result

        return attempt

    def _open(self, bot: Bot, method: TelegramMethod[Any], resent: int) -> RequestScope | None:
        # A long poll waits for most of its time, and every update that it brings has its own trace.
        if method.__api_method__ == _LONG_POLL:  # of a subclass, too
            return None
        try:
            call = _call(bot.session.api.base, method.__api_method__)
            attributes = _start(call, method, resent)
            opened = open_span(
                self._tracer, call.method, SpanKind.CLIENT, attributes, metered=self.metrics is not None
            )
            if opened is None:
                return None
            if self._request_hook is not None and opened.span.is_recording():
                call_hook("request_hook", self._request_hook, opened.span, method)
            opened.context = set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, opened.context)
            return RequestScope(self, opened, call, method)
        except Exception as error:
            swallow("RequestTracing.open", error)
            return None


@lru_cache(maxsize=1024)
def _call(base: str, method: str) -> Call:
    return Call(
        method,
        {
            semconv.RPC_SYSTEM_NAME: semconv.RPC_SYSTEM_BOT_API,
            semconv.RPC_METHOD: method,
            **server_attributes(base),
        },
    )


def _start(call: Call, method: TelegramMethod[Any], resent: int) -> Attributes:
    edited = getattr(method, "message_id", None) if call.method.startswith("edit") else None
    if edited is None and not resent:
        return call.attributes
    attributes = {**call.attributes}
    if edited is not None:
        attributes[semconv.TELEGRAM_MESSAGE_ID] = edited
    if resent:
        attributes[semconv.HTTP_REQUEST_RESEND_COUNT] = resent
    return attributes


def _status_code(error: BaseException) -> str | None:
    return next((_STATUS_CODES[kind] for kind in type(error).__mro__ if kind in _STATUS_CODES), None)


def _answer(result: object) -> Attributes:
    # Exact types first: to ask a model's class for its instances is dear.
    if result is True:
        return _OK
    messages = result if type(result) is list else [result]
    if not messages or not isinstance(messages[0], (Message, MessageId)):
        return _OK
    first = messages[0]
    attributes: dict[str, AttributeValue] = {**_OK, semconv.TELEGRAM_MESSAGE_ID: first.message_id}
    if isinstance(first, Message):
        attributes[semconv.TELEGRAM_CHAT_TYPE] = first.chat.type
    if messages is result:
        attributes[semconv.TELEGRAM_MESSAGES_COUNT] = len(messages)
    return attributes
