"""How much too late the event loop comes back to a task: what blocks it shows here before anybody complains."""

from __future__ import annotations

import asyncio

from app.telemetry.catalogue import EVENT_LOOP_LAG
from app.telemetry.instruments import record

_EVERY_S = 0.25


async def watch_loop_lag() -> None:
    """Sleep and look at the clock, until cancelled."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        record(EVENT_LOOP_LAG, max(clock() - due, 0.0))
