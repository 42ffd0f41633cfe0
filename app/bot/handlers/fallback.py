"""What nothing else took: unknown commands, chatter, and failures."""

from __future__ import annotations

import logging

import asyncpg
from aiogram import Router
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import ErrorEvent, Message
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.bot import show
from app.bot.filters import InPrivate
from app.bot.locales import language_of, say
from app.bot.middlewares.retry import changes_nothing_twice
from app.bot.screens import job as screens
from app.bot.screens import menu
from app.errors import DeadlinePassed, Superseded
from app.telemetry.context import correlation_id, support_code
from app.updates.turn import Turn

_log = logging.getLogger(__name__)

#: These pass by themselves: Telegram or the database is down or busy. A bare `OSError` is neither's: a file or a site of
#: the handler's own, for which its chat does not wait an hour.
_PASSING = (
    TelegramServerError,
    TelegramRetryAfter,
    DBAPIError,
    PoolTimeoutError,
)
#: Of the database's errors these are of the statement or its values: no other time makes them better.
_OF_THE_CODE = (IntegrityError, ProgrammingError, DataError)
#: These would be the same next time: the chat does not take the answer.
_FINAL = (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound)


async def not_understood(message: Message, language: str) -> None:
    """Say what to send instead."""
    key = "unknown_command" if (message.text or "").startswith("/") else "send_link"
    await show.answer(message, menu.notice(language, key))


async def failed(event: ErrorEvent, turn: Turn | None = None) -> bool:
    """Let the update be tried again, or tell the user with the support code; what failed is in the trace already."""
    error = event.exception
    if isinstance(error, Superseded):
        _log.warning("another instance processes this update by now")
        return True
    _log.error("an update failed", exc_info=error, extra={"fields": {"update_id": event.update.update_id}})
    if turn is not None and _tried_again(turn, error):
        return True
    await _tell_user(event)
    return True


def _tried_again(turn: Turn, error: Exception) -> bool:
    if isinstance(error, _FINAL):
        return False
    if isinstance(error, DeadlinePassed):
        # Another try would hold up the chat as long again.
        turn.set_aside(error)
        return False
    asked = error.retry_after if isinstance(error, TelegramRetryAfter) else 0.0
    return turn.try_again(error, passing=_passes(error), not_before_s=asked)


def _passes(error: Exception) -> bool:
    if isinstance(error, TelegramNetworkError):
        # Else the call may have been carried out: each try may show the message once more.
        return changes_nothing_twice(error)
    if isinstance(error, DBAPIError) and isinstance(
        getattr(error.orig, "__cause__", None), asyncpg.DataError
    ):
        return False  # for which SQLAlchemy has no class of its own
    return isinstance(error, _PASSING) and not isinstance(error, _OF_THE_CODE)


async def _tell_user(event: ErrorEvent) -> None:
    message = event.update.message
    query = event.update.callback_query
    user = message.from_user if message else query.from_user if query else None
    language = language_of(user.language_code if user else None)
    code = support_code(correlation_id())
    try:
        if message is not None:
            await show.answer(message, screens.failure(language, "internal_error", code))
        elif query is not None:
            await show.acknowledge(query, f"{say(language, 'internal_error')} {code}")
    except Exception as error:  # of Telegram or not: what becomes of the update is decided already
        _log.warning("the user was not told: %s", type(error).__qualname__)


def router() -> Router:
    """The router of this area; it must be the last."""
    area = Router(name="fallback")
    area.message.register(not_understood, InPrivate())
    area.errors.register(failed)
    return area
