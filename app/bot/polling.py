"""Long polling for development. An update is confirmed to Telegram only after it is in the inbox.

aiogram's own polling confirms first and loses what runs at a stop. Only the ACTIVE instance polls: Telegram lets one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramConflictError
from aiogram.methods import GetUpdates

from app.errors import InboxFull, InboxUnavailable, NotAnUpdate
from app.updates.envelope import wrap
from app.updates.ports import Receive

_log = logging.getLogger(__name__)

_LONG_POLL_S = 25
_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
#: How long a stop waits for telling Telegram what is stored.
_CONFIRM_S = 2.0

RawUpdate = dict[str, Any]


class GetRawUpdates(GetUpdates):
    """`getUpdates` whose updates are not read yet: one that this version cannot read must not hide the others."""

    __returning__ = list[RawUpdate]


class Poller:
    """Asks for updates until it is cancelled."""

    def __init__(self, bot: Bot, receive: Receive, allowed_updates: list[str]) -> None:
        self._bot = bot
        self._receive = receive
        self._allowed_updates = allowed_updates
        self._offset: int | None = None
        self._failures = 0

    async def run(self) -> None:
        """Poll for ever; a failure is logged once and followed by a growing pause. A stop still confirms."""
        try:
            while True:
                batch = await self._ask()
                if batch is not None and await self._store(batch):
                    self._failures = 0
        except asyncio.CancelledError:
            await self._confirm()
            raise

    async def _ask(self) -> list[RawUpdate] | None:
        """What has come, or None when nobody knows."""
        try:
            return await self._get(_LONG_POLL_S)
        except AiogramError as error:
            await self._complain(_advice(error), error)
            return None

    async def _get(self, timeout_s: int) -> list[RawUpdate]:
        request = GetRawUpdates(offset=self._offset, timeout=timeout_s, allowed_updates=self._allowed_updates)
        updates: Any = await self._bot(request, request_timeout=timeout_s + 10)
        return list(updates)

    async def _store(self, batch: list[RawUpdate]) -> bool:
        """Store a batch side by side, and move the offset past it when all of it is committed. False: it is not."""
        results = await asyncio.gather(*map(self._take, batch), return_exceptions=True)
        for result in results:
            if isinstance(result, (InboxFull, InboxUnavailable)):
                await self._complain("updates cannot be stored; Telegram keeps them meanwhile", result)
                return False
            if isinstance(result, BaseException):
                raise result
        numbers = [result for result in results if isinstance(result, int)]
        if numbers:
            self._offset = max(numbers) + 1
        elif batch:
            await asyncio.sleep(_PAUSES_S[0])  # nothing to confirm: the same comes again at once
        return True

    async def _take(self, update: RawUpdate) -> int | None:
        """Store one; gives its number, None when it has none."""
        try:
            envelope = wrap(update)
        except NotAnUpdate:
            _log.error("Telegram gave something that is no update; it is passed over")
            return None
        await self._receive(envelope, "polling")
        return envelope.update_id

    async def _complain(self, message: str, error: Exception) -> None:
        if self._failures == 0:
            _log.warning(message, extra={"fields": {"error.type": type(error).__qualname__}})
        pause = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1
        await asyncio.sleep(pause)

    async def _confirm(self) -> None:
        if self._offset is None:
            return
        try:
            async with asyncio.timeout(_CONFIRM_S):
                await self._get(0)
        except (AiogramError, TimeoutError):
            _log.warning("Telegram was not told which updates are stored; it will bring them again")


def _advice(error: AiogramError) -> str:
    if isinstance(error, TelegramConflictError):
        return "another process polls with the same token, or a webhook is set: stop the other one"
    return "the Bot API does not answer as it should; trying again"
