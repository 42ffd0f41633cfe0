"""Around every message: tells that a command came in. Its name is told only when it is one of the bot's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import Message, TelegramObject, Update

from app.telemetry.catalogue import COMMAND_USAGE, COMMANDS
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.identity import hashed
from app.telemetry.instruments import count


class TellCommands(BaseMiddleware):
    """Outer middleware of messages."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Tell, and let the message through."""
        if isinstance(event, Message) and (event.text or "").startswith("/"):
            update: Update = data["event_update"]
            command = command_of(event.text or "")
            emit(
                Event.COMMAND_RECEIVED,
                update_id=update.update_id,
                command=command,
                chat_hash=hashed(event.chat.id),
            )
            count(COMMAND_USAGE, command=command)
        return await handler(event, data)


def command_of(text: str) -> str:
    """The command that a text begins with, without slash and bot name; `other` when the bot has no such command."""
    name = text.split(maxsplit=1)[0].removeprefix("/").partition("@")[0]
    return name if name in COMMANDS else "other"
