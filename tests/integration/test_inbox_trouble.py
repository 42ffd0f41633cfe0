"""The inbox with a database that hangs or is busy: refusals are fast, what was acknowledged stays, and all goes on."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from app.db.line import Line
from app.db.migrate import migrate
from app.db.session import Database
from app.errors import InboxUnavailable
from app.updates.bell import UPDATES, ring
from app.updates.door import Door, Stored
from app.updates.envelope import read
from app.updates.inbox import Arrival
from tests.kit.relay import relay
from tests.kit.updates import FIRST, Instance, instance, message, until, until_active

#: Telegram gives up a request after a minute; a load balancer may after five seconds.
_FAST_S = 3.0


async def _put_all(here: Instance, numbers: Sequence[int]) -> list[Stored | BaseException]:
    return await asyncio.gather(*(here.put(message(n, chat=n)) for n in numbers), return_exceptions=True)


async def test_a_database_that_hangs_loses_nothing_and_all_goes_on_when_it_answers(postgres_url: str) -> None:
    async with relay(postgres_url) as through:
        database = Database(through.url)
        await migrate(database)
        async with instance(database, expiry_s=4.0, inbox_limit=10_000) as here:
            before = await _put_all(here, range(1, 51))
            through.hang()
            hung = time.monotonic()
            # More than one group of them, which must not wait for its time one after the other.
            refused = await _put_all(here, range(1001, 1901))
            took = time.monotonic() - hung
            again = await _put_all(here, range(1001, 1011))
            await asyncio.sleep(12 - (time.monotonic() - hung))  # beyond each time-out that there is
            through.go_on()
            await until_active(here, 90)
            after = await _brought_again(here, range(1001, 1901))
            await here.all_done()
            states = await here.states()
        await database.close()
    assert {type(one) for one in before} == {Stored}
    assert {type(one) for one in refused + again} == {InboxUnavailable}
    assert took < _FAST_S
    assert {type(one) for one in after} == {Stored}
    assert states == dict.fromkeys([*range(1, 51), *range(1001, 1901)], "done")
    assert sorted(here.script.ended) == sorted(states)  # each once


async def _brought_again(here: Instance, numbers: Sequence[int]) -> list[Stored | BaseException]:
    """As Telegram does it: until the answer is yes."""
    async with asyncio.timeout(30):
        while True:
            answers = await _put_all(here, numbers)
            if all(isinstance(one, Stored) for one in answers):
                return answers
            await asyncio.sleep(0.2)


async def test_a_database_that_hangs_while_others_are_told_is_said_fast_too(postgres_url: str) -> None:
    async with relay(postgres_url) as through:
        database = Database(through.url)
        await migrate(database)

        async def tell(line: Line, urgent: bool) -> None:
            through.hang()
            await ring(line, UPDATES)

        door = Door(database, 1000, on_stored=tell)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(door.run())
            await until(lambda: door.is_open)
            first = await door.put(Arrival(read(message(1)), FIRST))
            hung = time.monotonic()
            with pytest.raises(InboxUnavailable):
                await door.put(Arrival(read(message(2)), FIRST))
            took = time.monotonic() - hung
            through.go_on()
            running.cancel()
        await database.close()
    assert first == Stored()
    assert took < _FAST_S


async def test_a_busy_sqlite_is_said_fast(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}")
    await migrate(database)
    async with instance(database) as here:
        writer = sqlite3.connect(tmp_path / "bot.db", isolation_level=None, check_same_thread=False)
        with closing(writer) as other:
            # On a thread: who has the lock shares this loop.
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            began = time.monotonic()
            first = asyncio.create_task(here.put(message(1)))
            await asyncio.sleep(0.1)
            second = asyncio.create_task(here.put(message(2)))
            for one in (first, second):
                with pytest.raises(InboxUnavailable):
                    await one
            took = time.monotonic() - began
            other.execute("ROLLBACK")
        assert {type(one) for one in await _brought_again(here, (1, 2))} == {Stored}
        await here.all_done()
    await database.close()
    assert took < _FAST_S
    assert sorted(here.script.ended) == [1, 2]
