"""Long polling for development. An update is confirmed to Telegram only after it was processed.

aiogram's own polling confirms first and loses what runs at a stop. Here one chat's updates run in order, chats side by
side, and the next batch is asked for when all are done.
"""

from __future__ import annotations

import asyncio
import logging

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramUnauthorizedError
from aiogram.methods import GetUpdates
from aiogram.types import Update

from app.bot.intake import Intake

_log = logging.getLogger(__name__)

_LONG_POLL_S = 25
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)


class Poller:
    """Asks for updates until it is cancelled."""

    def __init__(self, bot: Bot, intake: Intake, allowed_updates: list[str]) -> None:
        self._bot = bot
        self._intake = intake
        self._allowed_updates = allowed_updates
        self._offset: int | None = None
        self._failures = 0

    async def run(self) -> None:
        """Poll for ever; a failure is logged once and followed by a growing pause."""
        while True:
            batch = await self._ask()
            if batch:
                await self._process(batch)
                self._offset = batch[-1].update_id + 1

    async def _ask(self) -> list[Update]:
        request = GetUpdates(offset=self._offset, timeout=_LONG_POLL_S, allowed_updates=self._allowed_updates)
        try:
            updates = await self._bot(request, request_timeout=_LONG_POLL_S + 10)
        except AiogramError as error:
            if self._failures == 0:
                _log.warning(_advice(error), extra={"fields": {"error.type": type(error).__qualname__}})
            pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
            await asyncio.sleep(pause)
            return []
        self._failures = 0
        return updates

    async def _process(self, batch: list[Update]) -> None:
        chats: dict[int, list[Update]] = {}
        for update in batch:
            chats.setdefault(_chat_of(update), []).append(update)
        async with asyncio.TaskGroup() as group:
            for updates in chats.values():
                group.create_task(self._in_order(updates))

    async def _in_order(self, updates: list[Update]) -> None:
        for update in updates:
            await self._intake.feed(update, "polling")


def _chat_of(update: Update) -> int:
    """What an update must stay in order with: its chat, else its user, else only itself."""
    event = update.message or update.edited_message
    if event is not None:
        return event.chat.id
    if update.callback_query is not None:
        return update.callback_query.from_user.id
    return -update.update_id


def _advice(error: AiogramError) -> str:
    if isinstance(error, TelegramConflictError):
        return "another process polls with the same token, or a webhook is set: stop the other one"
    if isinstance(error, TelegramUnauthorizedError):
        return "Telegram does not know this token: check BOT_TOKEN"
    return "the Bot API does not answer; trying again"
