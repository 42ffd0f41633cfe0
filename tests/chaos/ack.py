"""How long Telegram waits for the answer, and what a crash then loses: ours beside stock aiogram, in one run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tests.chaos import load, stock
from tests.chaos.fleet import fork
from tests.chaos.storm import settled, world
from tests.chaos.takeover import quantile
from tests.kit.bot import free_port

WORK_S = 0.05
_LIMIT_S = 0.010


@dataclass(frozen=True)
class Plan:
    """The load on each variant."""

    rate: float = 500.0
    warm_up_s: float = 4.0
    measured_s: float = 20.0


async def ack(server: URL, plan: Plan, folder: Path) -> dict[str, Any]:
    """Measure the three. Latencies in milliseconds, by the moment at which an update was meant to be sent."""
    ours = await _ours(server, plan, folder)
    after = await _stock(plan, folder, first=False)
    first = await _stock(plan, folder, first=True)
    return {
        "rate": plan.rate,
        "handler_ms": WORK_S * 1000,
        "ours": ours,
        "stock_acknowledging_after_the_work": after,
        "stock_acknowledging_first": first,
        "good": ours["p99_ms"] is not None and ours["p99_ms"] < _LIMIT_S * 1000 and ours["lost"] == 0,
    }


async def _ours(server: URL, plan: Plan, folder: Path) -> dict[str, Any]:
    effects = folder / "effects-ours"
    async with world(server, 1, folder, slots=1) as (database, _, ships):
        ships.config = replace(ships.config, work_s=WORK_S, effects=effects)
        pid = await ships.start(0)
        answers = await _load(plan, folder, ships.ports[0], pid)
        await ships.ended(0)
        # Whoever is started next finishes what was acknowledged.
        await ships.start(0)
        await settled(database, ships)
    return _told(answers, effects)


async def _stock(plan: Plan, folder: Path, *, first: bool) -> dict[str, Any]:
    effects = folder / f"effects-{'first' if first else 'after'}"
    port = free_port()
    bot = fork.Process(target=stock.main, args=(stock.Config(port, first, WORK_S, effects),), daemon=True)
    await asyncio.to_thread(bot.start)
    try:
        await _listens(port)
        assert bot.pid is not None
        answers = await _load(plan, folder, port, bot.pid)
    finally:
        bot.kill()
        await asyncio.to_thread(bot.join)
    return _told(answers, effects)


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


async def _load(plan: Plan, folder: Path, port: int, pid: int) -> dict[str, Any]:
    out = folder / "answers.json"
    wanted = load.Load((port,), pid, plan.rate, plan.warm_up_s, plan.measured_s, out)
    sender = fork.Process(target=load.main, args=(wanted,), daemon=True)
    await asyncio.to_thread(sender.start)
    await asyncio.to_thread(sender.join)
    answers: dict[str, Any] = json.loads(out.read_text())
    return answers


def _told(answers: dict[str, Any], effects: Path) -> dict[str, Any]:
    """What never came back took longer than anything that did."""
    missing = answers["meant"] - len(answers["seconds"])
    seconds = [*sorted(answers["seconds"]), *[float("inf")] * missing]
    done = {int(line) for line in effects.read_text().split()}
    return {
        "measured": answers["meant"],
        "unanswered": missing,
        **{f"p{share}_ms": _ms(quantile(seconds, share / 100)) for share in (50, 90, 99)},
        "max_ms": _ms(seconds[-1]),
        "acknowledged": len(answers["acknowledged"]),
        "lost": len(set(answers["acknowledged"]) - done),
    }


def _ms(seconds: float) -> float | None:
    return None if seconds == float("inf") else round(seconds * 1000, 2)
