"""How a process hears that it should stop, what waits until then, and which work it lets finish first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set from now on, in place of what they did before."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def to_the_end(work: Coroutine[Any, Any, None], grace_s: float) -> None:
    """Await `work`; when this is cancelled, give the work `grace_s` more seconds first, then cancel it too.

    Cancelled a second time, it cancels the work at once. Half an upload helps nobody.
    """
    task = asyncio.create_task(work)  # noqa: TID251  # awaited below on every path
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task}, timeout=grace_s)
        finally:
            task.cancel()
            # What it raised is not lost: whoever cancelled looks at the rows, not at exceptions.
            await asyncio.gather(task, return_exceptions=True)
        raise
