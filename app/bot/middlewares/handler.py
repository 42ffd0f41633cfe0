"""Right around the handler: which function took the update, for the update's row, and how long it took.

What comes before the handler is in the update's latency.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from aiogram import BaseMiddleware
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.types import TelegramObject

from app.telemetry.catalogue import HANDLER_LATENCY
from app.telemetry.instruments import record
from app.updates.turn import Turn

#: As long as the column.
_LONGEST = 128


class AroundHandler(BaseMiddleware):
    """Inner middleware of messages and callback queries: the router has chosen by now."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Let the handler work, and record its time, whatever becomes of it."""
        taken_by: HandlerObject = data["handler"]
        name = handler_name(taken_by.callback)
        turn: Turn | None = data.get("turn")
        if turn is not None:
            turn.handler = name
        started = time.perf_counter()
        try:
            return await handler(event, data)
        finally:
            record(HANDLER_LATENCY, time.perf_counter() - started, handler=name)


@lru_cache(maxsize=256)
def handler_name(function: Callable[..., Any]) -> str:
    """A handler as telemetry names it: its module and its name there."""
    return f"{function.__module__}.{function.__qualname__}"[:_LONGEST]
