"""Around every Bot API call: tries again when Telegram says so, and when trying again cannot do a thing twice.

A 429 and a 5xx were not carried out; after a lost connection that is unknown, so a message is not sent again then.
In an update's turn only short pauses are waited: for a longer one the turn fails, and the update waits without it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType
from aiohttp import ClientConnectorError, ConnectionTimeoutError

from app.telemetry.catalogue import API_THROTTLE_WAIT
from app.telemetry.instruments import record
from app.updates.turn import Turn

_log = logging.getLogger(__name__)

_ATTEMPTS = 4
#: Longer than this nobody waits for an answer: the call fails, visibly.
_LONGEST_WAIT_S = 30.0
#: The same in a turn, whose deadline would set the update aside.
_LONGEST_WAIT_IN_TURN_S = 5.0
_FIRST_BACKOFF_S = 0.3
#: These may be lost and repeated without harm.
_IDEMPOTENT = ("get", "edit", "set", "delete", "answerCallbackQuery", "sendChatAction")


#: A lost connection, or the page of a proxy in place of an answer.
_UNKNOWN_WHETHER_DONE = (TelegramNetworkError, ClientDecodeError)
_WORTH_ANOTHER = (TelegramRetryAfter, TelegramServerError, *_UNKNOWN_WHETHER_DONE)


_only_once: ContextVar[bool] = ContextVar("only_once", default=False)


@contextmanager
def once() -> Iterator[None]:
    """Make the calls of this block once: for news that are stale by the time a retry would bring them."""
    token = _only_once.set(True)
    try:
        yield
    finally:
        _only_once.reset(token)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


@contextmanager
def within(turn: Turn) -> Iterator[None]:
    """Let the calls of this block keep to the time of the turn."""
    token = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(token)


def changes_nothing_twice(error: TelegramNetworkError) -> bool:
    """Whether a call of which nothing was heard can be made again as if it had never been made."""
    never_made = isinstance(error.__cause__, (ClientConnectorError, ConnectionTimeoutError))
    return never_made or error.method.__api_method__.startswith(_IDEMPOTENT)


class Retry(BaseRequestMiddleware):
    """Up to four attempts a call, with the pause that Telegram asks for or a growing one of our own."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[TelegramType],
        bot: Bot,
        method: TelegramMethod[TelegramType],
    ) -> Response[TelegramType]:
        """Make the call."""
        for attempt in range(1, _ATTEMPTS):
            began = time.monotonic()
            try:
                return await make_request(bot, method)
            except _WORTH_ANOTHER as error:
                pause = _pause(error, method, attempt)
                if pause is None or not _fits(pause, time.monotonic() - began):
                    raise
                kind = type(error).__qualname__
                _log.debug(
                    "%s failed (%s); attempt %d follows in %.1f s",
                    method.__api_method__,
                    kind,
                    attempt + 1,
                    pause,
                )
                await asyncio.sleep(pause)
                if isinstance(error, TelegramRetryAfter):
                    record(API_THROTTLE_WAIT, pause, method=method.__api_method__)
        return await make_request(bot, method)


def _pause(error: Exception, method: TelegramMethod[Any], attempt: int) -> float | None:
    """Seconds to wait before the next attempt, or None when there must be none."""
    name = method.__api_method__
    if name == "getUpdates" or _only_once.get():
        return None  # the poller has a pace of its own
    if isinstance(error, TelegramRetryAfter):
        return float(error.retry_after)
    if isinstance(error, _UNKNOWN_WHETHER_DONE) and not name.startswith(_IDEMPOTENT):
        return None
    return _FIRST_BACKOFF_S * float(2 ** (attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311  # jitter


def _fits(pause: float, took_s: float) -> bool:
    """Whether somebody waits so long; in a turn also for an attempt that takes as long as the last one, twice over."""
    turn = _turn.get()
    if turn is None:
        return pause <= _LONGEST_WAIT_S
    return pause <= _LONGEST_WAIT_IN_TURN_S and 2 * (pause + took_s) < turn.left_s
