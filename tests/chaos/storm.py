"""Thousands of updates while instances are killed and frozen at random, also between two statements, and the database falls."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from app.db.migrate import migrate
from app.db.session import Database
from tests.chaos import ledger
from tests.chaos.faults import Fault
from tests.chaos.fleet import SIGCONT, SIGKILL, SIGSTOP, SIGUSR1, Fleet, fleet
from tests.chaos.instance import Config
from tests.chaos.post import Post, post
from tests.kit.postgres import execute

_log = logging.getLogger(__name__)

Restart = Callable[[Literal["fast", "immediate"]], Awaitable[None]]

_SLOTS = 3
#: What may wait at the sandbox: beyond 5000 it forgets the oldest, as the original does with much more.
_WAITING = 800


@dataclass(frozen=True)
class Plan:
    """How much happens. Kills and freezes are at least so many; the updates are spread over them."""

    updates: int = 20_000
    chats: int = 500
    kills: int = 200
    freezes: int = 20
    restarts: int = 4
    seed: int = 1
    #: Seconds between two kills from outside.
    pause_s: tuple[float, float] = (0.3, 2.6)
    frozen_s: tuple[float, float] = (5.0, 8.0)
    #: The time for all of it.
    limit_s: float = 900.0


@dataclass
class Done:
    """What has happened so far."""

    kills_outside: int = 0
    kills_between_statements: int = 0
    freezes: int = 0
    restarts: int = 0
    starts: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.kills_outside + self.kills_between_statements


class Storm:
    """One run."""

    def __init__(self, plan: Plan, database: Database, mail: Post, ships: Fleet, restart: Restart) -> None:
        self._plan = plan
        self._database = database
        self._ships = ships
        self._mail = mail
        self._restart = restart
        self._dice = random.Random(plan.seed)
        self._killed: set[int] = set()
        self._calm = False
        self.done = Done()

    async def run(self) -> None:
        """Let it rage until everything was sent and enough was broken; then let one instance finish in peace."""
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(slot)) for slot in range(_SLOTS)]
            others = [group.create_task(loop) for loop in (self._haste(), *map(self._watch, range(_SLOTS)))]
            async with asyncio.TaskGroup() as violence:
                violence.create_task(self._write())
                violence.create_task(self._kill())
                violence.create_task(self._fell_database())
            self._calm = True
            await self._delivered()
            for task in (*keepers, *others):
                task.cancel()

    async def _keep(self, slot: int) -> None:
        """Start the instance of a slot again whenever it is gone."""
        while True:
            fault = self._fault()
            pid = await self._ships.start(slot, fault)
            self.done.starts += 1
            _log.info("slot %d: pid %d began, %s", slot, pid, fault)
            await self._ships.ended(slot)
            _log.info("slot %d: pid %d is gone", slot, pid)
            if pid in self._killed:
                self.done.kills_outside += 1
            elif fault is not None and fault.number == SIGKILL:
                self.done.kills_between_statements += 1
            else:
                self.done.failed.append(f"slot {slot}, pid {pid} ended by itself")

    def _fault(self) -> Fault | None:
        chance = self._dice.random()
        if self._calm or chance < 0.4:
            return None
        # The first hundred or so go to look at the lease; a leader does some hundreds a second.
        after = int(10 ** self._dice.uniform(0.5, 3.3))
        return Fault(SIGKILL if chance < 0.8 else SIGSTOP, after)

    async def _kill(self) -> None:
        """From outside, at any moment."""
        while self._enough() < 1:
            await asyncio.sleep(self._dice.uniform(*self._plan.pause_s))
            slot = self._dice.randrange(_SLOTS)
            if self.done.freezes / self._plan.freezes <= self.done.kills / self._plan.kills < 1:
                leading = self._ships.slot_of(await self._leader())
                self._ships.signal(slot if leading is None else leading, SIGSTOP)
            elif self._ships.alive(slot) and not self._ships.frozen(slot):
                self._killed.add(self._ships.pid(slot))
                self._ships.signal(slot, SIGKILL)

    async def _leader(self) -> int | None:
        try:
            return await active(self._database)
        except (DBAPIError, asyncpg.PostgresError, OSError):
            return None  # the database is down

    def _enough(self) -> float:
        """How much of what is planned has happened."""
        plan, done = self._plan, self.done
        return min(done.kills / plan.kills, done.freezes / plan.freezes, done.restarts / plan.restarts, 1)

    async def _watch(self, slot: int) -> None:
        """What is frozen is taken out of the balancer after a while, and thawed later than its lease lasts."""
        while True:
            await asyncio.sleep(0.2)
            if not self._ships.alive(slot) or not self._ships.frozen(slot):
                continue
            port = self._ships.ports[slot]
            _log.info("slot %d: pid %d is frozen", slot, self._ships.pid(slot))
            await asyncio.sleep(1.0)
            self._ships.balancer.out(port)
            await asyncio.sleep(self._dice.uniform(*self._plan.frozen_s))
            self._ships.signal(slot, SIGCONT)
            _log.info("slot %d: thawed", slot)
            self._ships.balancer.back(port)
            self.done.freezes += 1

    async def _fell_database(self) -> None:
        for number in range(self._plan.restarts):
            while self.done.kills / self._plan.kills < (number + 0.5) / self._plan.restarts:
                await asyncio.sleep(0.1)
            await self._restart("immediate" if number % 2 == 0 else "fast")
            self.done.restarts += 1
            _log.info("the database was restarted")

    async def _write(self) -> None:
        """Everybody writes, some much more than others, as long as there is something to be broken."""
        chats = list(self._mail.sent)
        weights = [1.0 / (rank + 5) for rank in range(len(chats))]
        for number in range(self._plan.updates):
            if number % 20 == 0:
                while (
                    number / self._plan.updates > self._enough() + 0.02
                    or await self._mail.pending() > _WAITING
                ):
                    await asyncio.sleep(0.05)
            # At the end everybody has written.
            left = self._plan.updates - number
            silent = [chat for chat in chats if not self._mail.sent[chat]] if left <= len(chats) else []
            await self._mail.write(silent[0] if silent else self._dice.choices(chats, weights)[0])

    async def _haste(self) -> None:
        """Redelivery waits for up to two minutes: in virtual time."""
        while True:
            await asyncio.sleep(1)
            await self._mail.hasten(4)

    async def _delivered(self) -> None:
        while await self._mail.pending():
            await asyncio.sleep(0.2)


async def storm(
    server: URL, restart: Restart, plan: Plan, folder: Path, pooler: URL | None = None
) -> dict[str, Any]:
    """Run it on a fresh database of the server; gives the numbers. The instances use `pooler`, when there is one."""
    began = time.monotonic()
    async with world(server, plan.chats, folder, slots=_SLOTS, pooler=pooler) as (database, mail, ships):
        one = Storm(plan, database, mail, ships, restart)
        try:
            async with asyncio.timeout(plan.limit_s):
                await one.run()
                await settled(database, ships)
        except TimeoutError:
            await _witness(database, ships)
            raise
        verdict = await ledger.judge(database, mail.sent)
        answers = {str(status): n for status, n in sorted(ships.balancer.answers.items())}
    return {
        "sent": sum(mail.sent.values()),
        "chats": len(mail.sent),
        **asdict(one.done),
        "kills": one.done.kills,
        **asdict(verdict),
        # 503 while the database is away: Telegram brings the update again. Nobody answers with another failure.
        "answers": answers,
        "good": verdict.good and not one.done.failed and set(answers) <= {"200", "503"},
        "seconds": round(time.monotonic() - began, 1),
    }


@asynccontextmanager
async def world(
    server: URL, chats: int, folder: Path, *, slots: int, pooler: URL | None = None
) -> AsyncIterator[tuple[Database, Post, Fleet]]:
    """A fresh database with the ledger, the sandbox, and a fleet that its webhook points at."""
    name = f"chaos_{random.SystemRandom().randrange(10**9)}"
    await asyncio.to_thread(execute, server, f"CREATE DATABASE {name}")
    database = Database(server.set(database=name).render_as_string(hide_password=False))
    try:
        await migrate(database)
        async with post(chats) as mail:
            await ledger.prepare(database, mail.sent)
            config = Config(
                slot=0,
                port=0,
                database_url=(pooler or server).set(database=name).render_as_string(hide_password=False),
                shared_connections=pooler is not None,
                bot_api_url=mail.url,
                log=folder / "instances.log",
            )
            async with fleet(config, slots) as ships:
                await mail.set_webhook(ships.url)
                yield database, mail, ships
    finally:
        await database.close()


async def settled(database: Database, ships: Fleet) -> None:
    """One instance is there, and the inbox is empty."""
    if not any(map(ships.alive, range(len(ships.ports)))):
        await ships.start(0)
    while await ledger.number(database, "SELECT count(*) FROM updates WHERE state IN ('waiting', 'running')"):
        await asyncio.sleep(0.2)


async def _witness(database: Database, ships: Fleet) -> None:
    """Write down what holds up a storm that does not end: who is frozen, and what the server's sessions wait for."""
    for slot in range(len(ships.ports)):
        state = "frozen" if ships.frozen(slot) else "alive" if ships.alive(slot) else "gone"
        _log.info("slot %d: pid %d is %s", slot, ships.pid(slot), state)
        if state == "alive":
            ships.signal(slot, SIGUSR1)  # it writes down what its tasks wait for
    sessions = (
        "SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid) AS blocked_by, now() - xact_start AS age, "
        "left(query, 120) AS query FROM pg_stat_activity WHERE datname = current_database() ORDER BY xact_start"
    )
    for asked in (sessions, "SELECT * FROM lock_heartbeat"):
        for row in await ledger.rows(database, asked):
            _log.info("%s", dict(row))


async def active(database: Database) -> int | None:
    """The pid of the instance that is ACTIVE."""
    (row,) = await ledger.rows(database, "SELECT holder, holder_pid FROM lock_heartbeat")
    return int(row["holder_pid"]) if row["holder"] is not None else None
