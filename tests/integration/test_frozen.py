"""A process that is frozen in the middle of its work keeps nothing locked, wherever in the protocol that middle is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.migrate import migrate
from app.db.session import Database
from tests.kit.pgbouncer import pgbouncer
from tests.kit.updates import instance, message, until_active


async def _driver(connection: AsyncConnection) -> Any:
    """The driver's own connection, which can ask by halves."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    return driver


@asynccontextmanager
async def frozen(database: Database, *, half_asked: bool) -> AsyncIterator[None]:
    """Somebody holds the row of the lease, and is silent from then on."""
    async with database.engine.connect() as connection:
        await connection.execute(text("UPDATE lock_heartbeat SET epoch = epoch"))
        if half_asked:
            await (await _driver(connection)).prepare("SELECT 1", name="")
        yield
        await connection.invalidate()


@pytest.mark.parametrize(
    ("pooled", "half_asked"),
    [
        pytest.param(False, True, id="directly, with a statement half asked"),
        pytest.param(True, True, id="through a pooler, with a statement half asked"),
        pytest.param(True, False, id="through a pooler, between two statements"),
    ],
)
async def test_who_is_frozen_keeps_no_lock(
    postgres_url: str, caplog: pytest.LogCaptureFixture, pooled: bool, half_asked: bool
) -> None:
    with ExitStack() as stack:
        url = make_url(postgres_url)
        if pooled:
            url = stack.enter_context(pgbouncer(url))
        address = url.render_as_string(hide_password=False)
        database = Database(address, shared_connections=pooled)
        other = Database(address, shared_connections=pooled)
        await migrate(database)
        async with frozen(other, half_asked=half_asked), instance(database, active=False) as one:
            await until_active(one)
            await one.put(message(1))
            await one.all_done()
        await other.close()
        await database.close()
    told = [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "app.updates.frozen"]
    assert told == [(logging.WARNING, "sessions of a frozen process held locks and were ended: 1")]


async def test_who_only_waited_for_a_lock_is_left_alone(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server tells is when it began with the half statement: long ago, when that had to wait itself."""
    database, other = Database(postgres_url), Database(postgres_url)
    await migrate(database)
    blocker = await asyncpg.connect(
        make_url(postgres_url).set(drivername="postgresql").render_as_string(False)
    )
    await blocker.execute("CREATE TABLE wanted (n int)")
    async with instance(database), other.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        driver = await _driver(connection)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE wanted")
            preparing = asyncio.create_task(driver.prepare("SELECT n FROM wanted"))
            await asyncio.sleep(3.5)
            assert not preparing.done()
        await preparing
        await asyncio.sleep(1.2)  # two looks
        assert (await connection.execute(text("SELECT 2"))).scalar() == 2
    await blocker.close()
    await other.close()
    await database.close()
    assert [r.getMessage() for r in caplog.records if r.name == "app.updates.frozen"] == []


async def test_an_instance_that_can_free_nobody_says_so_once(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.session.APPLICATION", "renamed by a pooler")
    database = Database(postgres_url)
    await migrate(database)
    async with instance(database):
        await asyncio.sleep(1.2)
    await database.close()
    told = [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "app.updates.frozen"]
    cannot = "what a frozen process locks cannot be freed (this session is not known by its role and its application_name)"
    assert told == [(logging.WARNING, cannot)]
