"""Around every update: its metrics, its events, and the language to answer in.

It runs inside aiogram's own error handling, and so sees what failed before an error handler answers for it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.types import TelegramObject, Update, User
from aiogram.types.update import UpdateTypeLookupError

from app.bot.locales import language_of
from app.telemetry.activity import seen
from app.telemetry.catalogue import UPDATE_ERRORS, UPDATE_LATENCY, UPDATE_TYPES, UPDATES
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count, record


def update_type(update: Update) -> str:
    """The type of an update as telemetry names it: one of a closed set."""
    try:
        name = update.event_type
    except UpdateTypeLookupError:
        return "other"
    return name if name in UPDATE_TYPES else "other"


class Measure(BaseMiddleware):
    """Measures each update once, whatever becomes of it."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Let the update through and record how it went."""
        if not isinstance(event, Update):
            return await handler(event, data)
        kind = update_type(event)
        user: User | None = data.get("event_from_user")
        data["language"] = language_of(user.language_code if user else None)
        if user is not None and not user.is_bot:
            seen(user.id)
        count(UPDATES, update_type=kind)
        started = time.perf_counter()
        outcome = "error"
        try:
            result = await handler(event, data)
            outcome = "unhandled" if result is UNHANDLED else "handled"
            return result
        except Exception as error:
            error_type = type(error).__qualname__
            count(UPDATE_ERRORS, update_type=kind, error_type=error_type)
            emit(
                Event.DISPATCH_FAIL,
                update_id=event.update_id,
                update_type=kind,
                error_type=error_type,
                latency_ms=_milliseconds(started),
            )
            raise
        finally:
            record(UPDATE_LATENCY, time.perf_counter() - started, update_type=kind, outcome=outcome)
            if outcome != "error":
                emit(
                    Event.DISPATCH_OK,
                    update_id=event.update_id,
                    update_type=kind,
                    outcome=outcome,
                    latency_ms=_milliseconds(started),
                )


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
