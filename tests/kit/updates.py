"""The inbox's surroundings for its tests: a processor that follows a script, and updates as Telegram sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update

from app.db.models import LockRow, UpdateRow
from app.db.session import Database
from app.updates.claims import GivenUp
from app.updates.door import Stored
from app.updates.envelope import read
from app.updates.inbox import Arrival
from app.updates.service import Options, Updates
from app.updates.turn import Turn

Handle = Callable[[Turn], Awaitable[None]]

FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-11111111111111111111111111111111-2222222222222222-01"


def message(update_id: int, chat: int = 1) -> bytes:
    return json.dumps(
        {"update_id": update_id, "message": {"message_id": 1, "date": 1_790_000_000, "chat": {"id": chat}}}
    ).encode()


def press(update_id: int, chat: int = 1) -> bytes:
    return json.dumps(
        {"update_id": update_id, "callback_query": {"id": "7", "message": {"chat": {"id": chat}}}}
    ).encode()


def pre_checkout(update_id: int, user: int = 1) -> bytes:
    return json.dumps(
        {"update_id": update_id, "pre_checkout_query": {"id": "7", "from": {"id": user}}}
    ).encode()


async def nothing(turn: Turn) -> None:
    """A handler without an effect."""


@dataclass
class Script:
    """A processor: notes what it is given, and does what the script says for an update, or nothing."""

    handlers: dict[int, Handle] = field(default_factory=dict)
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    hurried: list[str] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)

    async def process(self, turn: Turn) -> None:
        number = turn.claimed.update_id
        self.begun.append(number)
        await self.handlers.get(number, nothing)(turn)
        self.ended.append(number)

    async def hurry(self, body: str, traceparent: str) -> None:
        self.hurried.append(traceparent)

    async def give_up(self, update: GivenUp) -> None:
        self.given_up.append(update)


class Gate:
    """A handler that lasts until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, turn: Turn) -> None:
        self.reached.set()
        await self.open.wait()


async def _forever() -> None:
    await asyncio.Event().wait()


@dataclass
class Instance:
    """One running instance."""

    updates: Updates
    script: Script
    database: Database
    running: asyncio.Task[None]

    async def put(self, body: bytes, traceparent: str = FIRST) -> Stored:
        return await self.updates.door.put(Arrival(read(body), traceparent))

    async def rows(self) -> dict[int, UpdateRow]:
        async with self.database.reading() as session:
            return {row.update_id: row for row in await session.scalars(select(UpdateRow))}

    async def states(self) -> dict[int, str]:
        return {number: row.state for number, row in (await self.rows()).items()}

    async def all_done(self) -> None:
        await until_true(self._is_done)

    async def _is_done(self) -> bool:
        return not {"waiting", "running"} & set((await self.states()).values())

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.running.cancel()
        await asyncio.wait({self.running})


async def until(condition: Callable[[], object], patience_s: float = 20) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)


async def until_true(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_active(instance: Instance, patience_s: float = 20) -> None:
    await until(lambda: instance.updates.lease.state == "ACTIVE", patience_s)


@asynccontextmanager
async def instance(
    database: Database, script: Script | None = None, *, active: bool = True, **changed: Any
) -> AsyncIterator[Instance]:
    """An instance at work on the database; with `active` it is waited for until it leads."""
    script = script or Script()
    options = {
        "inbox_limit": 1000,
        "concurrency": 4,
        "heartbeat_s": 1.0,
        "expiry_s": 15.0,
        "body_retention_h": 0.0,
        "row_retention_h": 72.0,
    }
    updates = Updates(database, database, script, Options(**{**options, **changed}))
    async with updates.storing(), asyncio.TaskGroup() as group:
        running = group.create_task(updates.run(_forever))
        here = Instance(updates, script, database, running)
        try:
            await until(lambda: updates.lease.seen)
            if active:
                await until_active(here)
            yield here
        finally:
            running.cancel()


async def change_lease(database: Database, **values: Any) -> None:
    async with database.transaction() as session:
        await session.execute(update(LockRow).values(**values))
