"""Work that is let finish first: for how long, and what a second cancellation does to it."""

from __future__ import annotations

import asyncio

import pytest

from app.grace import to_the_end


class Upload:
    """Takes so long, and notes how it ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.ended = ""

    async def run(self) -> None:
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "whole"


@pytest.mark.parametrize(
    ("seconds", "grace_s", "cancels", "ended"),
    [(0.05, 20, 0, "whole"), (0.05, 20, 1, "whole"), (20, 0.05, 1, "cancelled"), (20, 20, 2, "cancelled")],
)
async def test_work_has_ended_when_its_waiter_has(
    seconds: float, grace_s: float, cancels: int, ended: str
) -> None:
    upload = Upload(seconds)
    waiting = asyncio.create_task(to_the_end(upload.run(), grace_s))
    for _ in range(cancels):
        await asyncio.sleep(0.01)
        waiting.cancel()
    await asyncio.wait({waiting}, timeout=10)
    assert (waiting.done(), waiting.cancelled(), upload.ended) == (True, cancels > 0, ended)
    assert asyncio.all_tasks() == {asyncio.current_task()}
