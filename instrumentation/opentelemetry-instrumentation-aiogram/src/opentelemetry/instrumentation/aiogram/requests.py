"""The side of the Bot API: a CLIENT span per attempt, inside the session's request middlewares.

HTTP instrumentation is switched off below it, always: the token stands in the path of every URL of the Bot API.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import urlsplit

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

from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.safety import guarded
from opentelemetry.instrumentation.aiogram.spans import Attributes, AttributeValue, Scope, observe
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.trace import SpanKind, Tracer

_MakeRequest = Callable[..., Awaitable[Any]]

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
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class RequestScope(Scope):
    """The span of one attempt at a Bot API call."""

    __slots__ = ()

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record the answer: status code, waiting time asked for, message that came of it."""
        if not self.span.is_recording():
            return
        if error is None:
            self.span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, semconv.STATUS_OK)
            self.span.set_attributes(_sent_messages(result))
            return
        self.mark_failed(type(error))
        status_code = _status_code(error)
        if status_code is not None:
            self.span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, status_code)
        if isinstance(error, TelegramRetryAfter):
            self.span.set_attribute(semconv.TELEGRAM_RETRY_AFTER, error.retry_after)


class RequestTracing:
    """The wrappers around `RequestMiddlewareManager.wrap_middlewares` and `AiohttpSession.stream_content`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def wrap_middlewares(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Put the tracing between the innermost request middleware and the session."""
        if args:
            return wrapped(partial(self._attempt, args[0]), *args[1:], **kwargs)
        return wrapped(**{**kwargs, "callback": partial(self._attempt, kwargs["callback"])})

    async def stream_content(
        self,
        wrapped: Callable[..., AsyncGenerator[bytes, None]],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[bytes, None]:
        """Keep HTTP instrumentation off the download of a file. It has no span: it is no call of the Bot API."""
        chunks = wrapped(*args, **kwargs)
        try:
            while True:
                # Around each step and not around the loop: the consumer's code runs at the yield.
                with suppress_http_instrumentation():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            await chunks.aclose()

    async def _attempt(
        self, make_request: _MakeRequest, bot: Bot, method: TelegramMethod[Any], **kwargs: Any
    ) -> Any:
        with suppress_http_instrumentation():
            return await observe(self._open(bot, method), make_request, (bot, method), kwargs)

    @guarded
    def _open(self, bot: Bot, method: TelegramMethod[Any]) -> RequestScope | None:
        # A long poll waits for most of its time, and every update that it brings has its own trace.
        if isinstance(method, GetUpdates):
            return None
        name = method.__api_method__
        attributes = _request_attributes(bot.session.api.base, name)
        message_id = getattr(method, "message_id", None) if name.startswith("edit") else None
        if message_id is not None:
            attributes = {**attributes, semconv.TELEGRAM_MESSAGE_ID: message_id}
        return RequestScope.open(self._tracer, name, SpanKind.CLIENT, attributes)


@lru_cache(maxsize=1024)
def _request_attributes(base: str, method: str) -> Attributes:
    return {
        semconv.RPC_SYSTEM_NAME: semconv.RPC_SYSTEM_BOT_API,
        semconv.RPC_METHOD: method,
        **_server_attributes(base),
    }


def _server_attributes(base: str) -> dict[str, AttributeValue]:
    server = urlsplit(base)
    attributes: dict[str, AttributeValue] = {}
    if server.hostname:
        attributes[semconv.SERVER_ADDRESS] = server.hostname
    if server.port and server.port != _DEFAULT_PORTS.get(server.scheme):
        attributes[semconv.SERVER_PORT] = server.port
    return attributes


def _status_code(error: BaseException) -> str | None:
    return next((_STATUS_CODES[kind] for kind in type(error).__mro__ if kind in _STATUS_CODES), None)


def _sent_messages(result: object) -> Attributes:
    messages = result if isinstance(result, list) else [result]
    if not messages or not isinstance(messages[0], (Message, MessageId)):
        return {}
    attributes: dict[str, AttributeValue] = {semconv.TELEGRAM_MESSAGE_ID: messages[0].message_id}
    if isinstance(result, list):
        attributes[semconv.TELEGRAM_MESSAGES_COUNT] = len(result)
    return attributes
