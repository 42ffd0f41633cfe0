"""Around every update: its deadline, its metrics, its events, and the language to answer in.

It runs inside aiogram's own error handling, and so sees what failed before an error handler answers for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.exceptions import AiogramError
from aiogram.types import TelegramObject, Update, User
from aiogram.types.update import UpdateTypeLookupError
from sqlalchemy.exc import SQLAlchemyError

from app.bot.locales import language_of
from app.bot.reasons import reason_of
from app.errors import DeadlinePassed, Superseded
from app.telemetry.activity import seen
from app.telemetry.catalogue import ERRORS, UPDATE_ERRORS, UPDATE_LATENCY, UPDATE_TYPES, UPDATES
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count, record
from app.updates.turn import Turn

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


def update_type(update: Update) -> str:
    """The type of an update as telemetry names it: one of a closed set."""
    try:
        name = update.event_type
    except UpdateTypeLookupError:
        return "other"
    return known_type(name)


def known_type(name: str) -> str:
    """The name of an update's type as telemetry names it: one of a closed set."""
    return name if name in UPDATE_TYPES else "other"


#: The part that an exception of an update tells of; what is not listed is our own.
_CATEGORIES: tuple[tuple[type[Exception], str], ...] = (
    (AiogramError, "telegram"),
    (SQLAlchemyError, "database"),
    (TimeoutError, "timeout"),
    (DeadlinePassed, "timeout"),
    (Superseded, "lease"),
)


def category(error: Exception) -> str:
    """The part that failed, as the catalogue names it."""
    return next((name for kind, name in _CATEGORIES if isinstance(error, kind)), "internal")


class Measure(BaseMiddleware):
    """Measures each update once, whatever becomes of it; a handler that takes longer than the deadline is stopped."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s

    async def __call__(
        self,
        handler: Handler,
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Let the update through and record how it went."""
        if not isinstance(event, Update):
            return await handler(event, data)
        turn: Turn | None = data.get("turn")
        # aiogram finds the type by hashing the whole update, which costs more than a span.
        kind = known_type(turn.claimed.kind) if turn is not None else update_type(event)
        user: User | None = data.get("event_from_user")
        data["language"] = language_of(user.language_code if user else None)
        if user is not None and not user.is_bot:
            seen(user.id)
        started = time.perf_counter()
        outcome = "error"
        try:
            result = await self._in_time(handler, event, data, turn)
            rejected = turn is not None and turn.outcome == "rejected"
            outcome = "rejected" if rejected else "unhandled" if result is UNHANDLED else "handled"
            return result
        except Exception as error:
            error_type = type(error).__qualname__
            reason = reason_of(error)
            if turn is not None:
                turn.reason = reason
            count(UPDATE_ERRORS, update_type=kind, error_type=error_type)
            count(ERRORS, category=category(error))
            emit(
                Event.DISPATCH_FAIL,
                update_id=event.update_id,
                update_type=kind,
                error_type=error_type,
                reason_code=reason.value,
                latency_ms=_milliseconds(started),
                **({"attempt": turn.claimed.attempt} if turn is not None else {}),
            )
            raise
        finally:
            if turn is not None and not turn.outcome:
                turn.outcome = outcome
            count(UPDATES, update_type=kind, outcome=outcome)
            record(UPDATE_LATENCY, time.perf_counter() - started, update_type=kind, outcome=outcome)
            if outcome != "error":
                emit(
                    Event.DISPATCH_OK,
                    update_id=event.update_id,
                    update_type=kind,
                    outcome=outcome,
                    latency_ms=_milliseconds(started),
                )

    async def _in_time(
        self, handler: Handler, event: TelegramObject, data: dict[str, Any], turn: Turn | None
    ) -> Any:
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                if turn is not None:
                    turn.deadline = deadline
                return await handler(event, data)
        except TimeoutError as error:
            if deadline.expired():
                raise DeadlinePassed from error
            raise  # of the handler's own: a database, a site


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
