"""Work that a stop lets finish. Half an upload, or half an update, helps nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(work: Coroutine[Any, Any, None], grace_s: float) -> None:
    """Await `work`; when this is cancelled, give the work `grace_s` more seconds first, then cancel it too."""
    task = asyncio.create_task(work)  # noqa: TID251  # awaited below on every path
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=grace_s)
        task.cancel()
        # What it raised is not lost: whoever cancelled looks at the rows, not at exceptions.
        await asyncio.gather(task, return_exceptions=True)
        raise
