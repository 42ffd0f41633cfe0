"""How long nobody processes updates: after SIGKILL of the ACTIVE instance, and when it is stopped gracefully."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from app.db.session import Database
from tests.chaos import ledger
from tests.chaos.fleet import SIGKILL, SIGTERM, Fleet
from tests.chaos.post import Post
from tests.chaos.storm import active, settled, world

_CHATS = 20


@dataclass(frozen=True)
class Plan:
    """How often each is done, how many pairs of instances do it side by side, and how many updates a second come."""

    kills: int = 51
    stops: int = 12
    pairs: int = 3
    rate: float = 20.0
    limit_s: float = 600.0


async def takeover(server: URL, plan: Plan, folder: Path) -> dict[str, Any]:
    """Measure both. Times in seconds."""
    async with asyncio.timeout(plan.limit_s):
        async with AsyncExitStack() as stack:
            # One after the other: alembic cannot migrate twice at the same time in one process.
            worlds = [
                await stack.enter_async_context(world(server, _CHATS, folder, slots=2))
                for _ in range(plan.pairs)
            ]
            async with asyncio.TaskGroup() as group:
                pairs = [group.create_task(_killed(plan, *world)) for world in worlds]
        killed = sorted(second for pair in pairs for second in pair.result())
        stopped = await _stopped(server, plan, folder)
    return {
        "runs": len(killed),
        "takeover_s": {
            "p50": round(statistics.median(killed), 2),
            "p99": round(quantile(killed, 0.99), 2),
            "max": round(killed[-1], 2),
        },
        **stopped,
        "good": quantile(killed, 0.99) <= 5.0 and stopped["hand_over_good"],
    }


def quantile(values: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values."""
    return values[min(int(share * len(values)), len(values) - 1)]


async def _killed(plan: Plan, database: Database, mail: Post, ships: Fleet) -> list[float]:
    seconds: list[float] = []
    await ships.start(0)
    await ships.start(1)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(_write(mail, plan.rate))
        for _ in range(-(-plan.kills // plan.pairs)):
            slot = await _leading(database, ships)
            # Where in the heartbeat it dies decides how long the others wait.
            await asyncio.sleep(1.0 + (len(seconds) * 0.37) % 1.0)
            died = time.time()
            ships.signal(slot, SIGKILL)
            await ships.ended(slot)
            seconds.append(await _first_effect(database, died) - died)
            await ships.start(slot)
        writing.cancel()
    await _all_done(database, mail, ships)
    return seconds


async def _stopped(server: URL, plan: Plan, folder: Path) -> dict[str, Any]:
    async with world(server, _CHATS, folder, slots=2) as (database, mail, ships):
        await ships.start(0)
        await ships.start(1)
        await _leading(database, ships)
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(_write(mail, plan.rate))
            for _ in range(plan.stops):
                await asyncio.sleep(2)
                slot = await _leading(database, ships)
                ships.signal(slot, SIGTERM)
                await ships.ended(slot)
                await ships.start(slot)
            await asyncio.sleep(2)
            writing.cancel()
        await _all_done(database, mail, ships)
        waits = await ledger.rows(
            database, "SELECT began_at - sent_at AS wait FROM chaos_effects WHERE attempt = 1 ORDER BY 1"
        )
        epochs = await ledger.rows(database, "SELECT handed_over FROM chaos_epochs WHERE epoch > 1")
    values = [row["wait"] for row in waits]
    return {
        "hand_overs": len(epochs),
        "hand_over_wait_s": {
            "p50": round(statistics.median(values), 3),
            "p99": round(quantile(values, 0.99), 3),
            "max": round(values[-1], 3),
        },
        "hand_over_good": values[-1] <= 1.0 and all(epoch["handed_over"] for epoch in epochs),
    }


async def _write(mail: Post, rate: float) -> None:
    """Somebody writes at every moment; cancelled, it has sent what it began."""
    chats = list(mail.sent)
    number = 0
    with suppress(asyncio.CancelledError):
        while True:
            chat = chats[number % len(chats)]
            await asyncio.shield(mail.write(chat))
            number += 1
            await asyncio.sleep(1 / rate)


async def _leading(database: Database, ships: Fleet) -> int:
    while (slot := ships.slot_of(await active(database))) is None or not ships.alive(slot):
        await asyncio.sleep(0.02)
    return slot


async def _first_effect(database: Database, after: float) -> float:
    """When the next leader processed its first update; what the dead one still committed does not count."""
    sql = f"""SELECT coalesce(min(applied_at), 0) FROM chaos_effects
              WHERE epoch = (SELECT max(epoch) FROM chaos_epochs WHERE taken_at > {after})"""
    while True:
        if moment := await ledger.number(database, sql):
            return moment
        await asyncio.sleep(0.02)


async def _all_done(database: Database, mail: Post, ships: Fleet) -> None:
    while await mail.pending():
        await asyncio.sleep(0.1)
    await settled(database, ships)
    verdict = await ledger.judge(database, mail.sent)
    assert verdict.good, verdict
