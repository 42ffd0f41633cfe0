"""Around every attempt at a Bot API call: how long it took and how it ended, by method."""

from __future__ import annotations

import asyncio
import logging
import time

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType

from app.telemetry.catalogue import API_DURATION, API_RETRY_AFTER, RATE_LIMIT_HITS
from app.telemetry.instruments import add, count, record

_log = logging.getLogger(__name__)

_OUTCOMES: dict[type[BaseException], str] = {
    TelegramRetryAfter: "retry_after",
    TelegramBadRequest: "bad_request",
    TelegramUnauthorizedError: "unauthorized",
    TelegramForbiddenError: "forbidden",
    TelegramNotFound: "not_found",
    TelegramConflictError: "conflict",
    TelegramEntityTooLarge: "too_large",
    TelegramServerError: "server_error",
    TelegramNetworkError: "network_error",
    ClientDecodeError: "bad_answer",
    asyncio.CancelledError: "cancelled",
}


class MeasureCalls(BaseRequestMiddleware):
    """Inside `Retry`: each attempt counts by itself."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Make the call and record it; a long poll spends its time waiting, which tells nothing."""
        name = method.__api_method__
        if name == "getUpdates":
            return await make_request(bot, method)
        started = time.perf_counter()
        outcome = "ok"
        try:
            return await make_request(bot, method)
        except BaseException as error:
            outcome = _outcome(error)
            if isinstance(error, TelegramRetryAfter):
                add(API_RETRY_AFTER, error.retry_after, method=name)
                count(RATE_LIMIT_HITS, category="telegram")
            raise
        finally:
            seconds = time.perf_counter() - started
            record(API_DURATION, seconds, method=name, outcome=outcome)
            _log.debug("%s took %.0f ms: %s", name, seconds * 1000, outcome)


def _outcome(error: BaseException) -> str:
    return next((_OUTCOMES[kind] for kind in type(error).__mro__ if kind in _OUTCOMES), "other")
