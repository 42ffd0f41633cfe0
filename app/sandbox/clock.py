"""The virtual clock, and the bell that wakes what waits.

Virtual time is real time plus an offset that only grows; dates, time to live and flood limits follow it. The bell
keeps no memory: whoever is not waiting when it rings does not hear it.
"""

from __future__ import annotations

import asyncio
import time


class Bell:
    """Wakes every coroutine that waits for it, all at once."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake all that wait now."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next ring, at most `timeout` seconds of real time; False when it did not ring."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(timeout):
                await waiting
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiting)
        return True


class Clock:
    """Time as the sandbox tells it, in seconds since 1970."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._jumped = Bell()

    def now(self) -> float:
        """Give the virtual time."""
        return time.time() + self.offset_s

    def advance(self, seconds: float) -> None:
        """Jump forward; sleepers whose time has come wake up."""
        self.offset_s += seconds
        self._jumped.ring()

    async def sleep(self, seconds: float) -> None:
        """Sleep until the virtual time is `seconds` later."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            await self._jumped.wait(left)
