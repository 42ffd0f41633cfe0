"""DEBUG records are switched on in every process of one database, on both databases, and end everywhere at one moment."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from app.db.session import Database
from app.telemetry.logs import Verbosity
from app.traces import verbosity
from app.traces.verbosity import SharedVerbosity


class Told(Verbosity):
    """The level of another process: only notes for how long it is told to be DEBUG."""

    def __init__(self) -> None:
        super().__init__("INFO")
        self.seconds: list[float] = []

    def debug_for(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbosity, "_LOOK_EVERY_S", 0.02)


async def test_another_process_follows_until_the_same_moment(database: Database) -> None:
    here, there = Told(), Told()
    async with asyncio.TaskGroup() as group:
        other = group.create_task(SharedVerbosity(database, there).run())
        await asyncio.sleep(0.1)
        assert there.seconds == []
        began = time.monotonic()
        await SharedVerbosity(database, here).debug_for(1.0)
        await asyncio.sleep(1.3)
        seen, last = len(there.seconds), there.seconds[-1]
        await asyncio.sleep(0.2)
        other.cancel()
    assert here.seconds == [1.0]
    assert len(there.seconds) == seen > 5
    assert there.seconds == sorted(there.seconds, reverse=True)
    assert 0 < last < there.seconds[0] <= 1.0
    assert time.monotonic() - began < 10


async def test_a_restart_neither_ends_nor_prolongs_it_and_a_second_press_does(database: Database) -> None:
    await SharedVerbosity(database, Told()).debug_for(60)
    await SharedVerbosity(database, Told()).debug_for(1800)
    started = Told()
    async with asyncio.TaskGroup() as group:
        again = group.create_task(SharedVerbosity(database, started).run())
        while not started.seconds:
            await asyncio.sleep(0.01)
        again.cancel()
    assert 1790 < started.seconds[0] <= 1800


async def test_without_the_database_the_level_stays_as_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app.traces.verbosity")
    await SharedVerbosity(database, Told()).debug_for(60)
    there, real = Told(), database.reading
    monkeypatch.setattr(database, "reading", lambda: 1 / 0)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(SharedVerbosity(database, there).run())
        await asyncio.sleep(0.1)
        assert there.seconds == []
        assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == [
            "it cannot be seen whether DEBUG is on (ZeroDivisionError)"
        ]
        monkeypatch.setattr(database, "reading", real)
        while not there.seconds:
            await asyncio.sleep(0.01)
        looking.cancel()
