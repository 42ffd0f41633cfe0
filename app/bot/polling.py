"""Long polling for development. An update is confirmed to Telegram only after it was processed.

aiogram's own polling confirms first and loses what runs at a stop. Here one chat's updates run in order, chats side by
side, and the next batch is asked for when all are done: a chat that Telegram throttles holds the next batch up.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramConflictError
from aiogram.methods import GetUpdates

from app.bot.intake import Intake
from app.grace import to_the_end

_log = logging.getLogger(__name__)

_LONG_POLL_S = 25
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
#: How long a stop waits for the updates that are being processed, and for telling Telegram which are done.
_GRACE_S = 8.0
_CONFIRM_S = 2.0

RawUpdate = dict[str, Any]


class GetRawUpdates(GetUpdates):
    """`getUpdates` whose updates are not read yet: one that this version cannot read must not hide the others."""

    __returning__ = list[RawUpdate]


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

    async def _ask(self) -> list[RawUpdate]:
        try:
            updates = await self._get(_LONG_POLL_S)
        except AiogramError as error:
            if self._failures == 0:
                _log.warning(_advice(error), extra={"fields": {"error.type": type(error).__qualname__}})
            pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
            await asyncio.sleep(pause)
            return []
        self._failures = 0
        return updates

    async def _get(self, timeout_s: int) -> list[RawUpdate]:
        request = GetRawUpdates(offset=self._offset, timeout=timeout_s, allowed_updates=self._allowed_updates)
        updates: Any = await self._bot(request, request_timeout=timeout_s + 10)
        return list(updates)

    async def _process(self, batch: list[RawUpdate]) -> None:
        """Process a batch and move the offset past what is done; a stop still tells Telegram about that."""
        done: set[int] = set()
        try:
            await to_the_end(self._side_by_side(batch, done), _GRACE_S)
        except asyncio.CancelledError:
            self._move_past(batch, done)
            await self._confirm()
            raise
        self._move_past(batch, done)

    def _move_past(self, batch: list[RawUpdate], done: set[int]) -> None:
        for update in batch:
            if update["update_id"] not in done:
                return
            self._offset = update["update_id"] + 1

    async def _confirm(self) -> None:
        try:
            async with asyncio.timeout(_CONFIRM_S):
                await self._get(0)
        except (AiogramError, TimeoutError):
            _log.warning("Telegram was not told which updates are done; it will bring them again")

    async def _side_by_side(self, batch: list[RawUpdate], done: set[int]) -> None:
        chats: dict[str, list[RawUpdate]] = {}
        for update in batch:
            chats.setdefault(_chat_of(update), []).append(update)
        async with asyncio.TaskGroup() as group:
            for updates in chats.values():
                group.create_task(self._in_order(updates, done))

    async def _in_order(self, updates: list[RawUpdate], done: set[int]) -> None:
        for update in updates:
            await self._intake.take(update)
            done.add(update["update_id"])


def _chat_of(update: RawUpdate) -> str:
    """What an update must stay in order with: its chat, else its user, else only itself."""
    for event in update.values():
        # Nothing of it is validated yet. A press has no chat of its own; its user is the chat where it is private.
        who = (event.get("chat") or event.get("from")) if isinstance(event, dict) else None
        if isinstance(who, dict):
            return str(who.get("id"))
    return f"alone {update['update_id']}"


def _advice(error: AiogramError) -> str:
    if isinstance(error, TelegramConflictError):
        return "another process polls with the same token, or a webhook is set: stop the other one"
    return "the Bot API does not answer as it should; trying again"
