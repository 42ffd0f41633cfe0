"""What polling does with something that is no update: it must not hide the updates beside it, nor end the process."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiogram import Bot

from app.bot.polling import Poller
from app.updates.envelope import Envelope
from app.updates.ports import DoorName, Received


class _Telegram:
    """Answers `getUpdates` with one batch, then with nothing; notes the offsets that it is asked for."""

    def __init__(self, batch: list[dict[str, Any]]) -> None:
        self._batches = [batch]
        self.offsets: list[int | None] = []
        self.asked_again = asyncio.Event()

    async def __call__(self, request: Any, request_timeout: int) -> list[dict[str, Any]]:
        self.offsets.append(request.offset)
        if self._batches:
            return self._batches.pop()
        self.asked_again.set()
        if request.timeout:
            await asyncio.Event().wait()
        return []


async def _polled(batch: list[dict[str, Any]]) -> tuple[list[int | None], list[int]]:
    """The offsets that Telegram was asked for, and the numbers of what was stored."""
    telegram, stored = _Telegram(batch), list[int]()

    async def receive(envelope: Envelope, door: DoorName) -> Received:
        stored.append(envelope.update_id)
        return "stored"

    poller = Poller(cast(Bot, telegram), receive, [])
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        polling = group.create_task(poller.run())
        await telegram.asked_again.wait()
        polling.cancel()
    return telegram.offsets, stored


async def test_what_has_no_number_does_not_hide_the_others() -> None:
    batch: list[dict[str, Any]] = [{"update_id": 7}, {"message": {}}, {"update_id": "9"}]
    assert await _polled(batch) == ([None, 8, 8], [7])


async def test_a_batch_without_a_number_is_passed_over() -> None:
    assert await _polled([{"message": {}}]) == ([None, None], [])
