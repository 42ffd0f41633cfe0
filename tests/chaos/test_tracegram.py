"""The program itself, twice, behind a balancer: each link becomes one job, though the ACTIVE one is killed on the way."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app.db.session import Database
from tests.chaos import ledger
from tests.chaos.balancer import Balancer
from tests.chaos.instance import SECRET, TOKEN
from tests.chaos.post import post
from tests.chaos.storm import active
from tests.kit.bot import free_port
from tests.kit.programs import start

CHATS, ROUNDS = 10, 4


@asynccontextmanager
async def _bot(folder: Path, **settings: str) -> AsyncIterator[Process]:
    process = await start(
        folder,
        "run",
        BOT_TOKEN=TOKEN,
        BOT_MODE="webhook",
        WEBHOOK_SECRET=SECRET,
        WORKER_CONCURRENCY="0",
        **settings,
    )
    assert process.stdout is not None
    # What nobody reads would fill the pipe, and stop it.
    draining = asyncio.get_running_loop().create_task(process.communicate())
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await draining


@pytest.mark.timeout(240)
async def test_a_link_is_one_job_though_the_active_instance_is_killed(
    postgres_url: str, tmp_path: Path
) -> None:
    ports = [free_port(), free_port()]
    database = Database(postgres_url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        mail = await stack.enter_async_context(post(CHATS))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        balancer = Balancer(ports, tasks)
        stack.callback(balancer.close)
        shared = {
            "BOT_API_URL": mail.url,
            "DATABASE_URL": postgres_url,
            "WEBHOOK_URL": f"http://127.0.0.1:{await balancer.open()}",
        }
        bots = [
            await stack.enter_async_context(_bot(tmp_path, WEB_PORT=str(port), **shared)) for port in ports
        ]
        await _jobs(database, 0)
        for turn in range(ROUNDS):
            for chat in mail.sent:
                mail.sent[chat] += 1
                link = {"text": f"https://example.com/{chat}/{mail.sent[chat]}"}
                async with mail.http.post(f"/sandbox/users/{chat}/messages", json=link) as response:
                    assert response.status == 200
            if turn == 1:
                await _jobs(database, CHATS)
                leading = await active(database)
                next(bot for bot in bots if bot.pid == leading).kill()
        await _jobs(database, CHATS * ROUNDS)
        found = await ledger.rows(database, "SELECT chat_id, url FROM jobs ORDER BY id")
    in_order = {chat: [row["url"] for row in found if row["chat_id"] == chat] for chat in mail.sent}
    assert in_order == {
        chat: [f"https://example.com/{chat}/{seq}" for seq in range(1, ROUNDS + 1)] for chat in mail.sent
    }


async def _jobs(database: Database, at_least: int) -> None:
    """Wait until there are so many jobs, and the inbox is there."""
    tables, jobs = "SELECT count(*) FROM pg_tables WHERE tablename = 'updates'", "SELECT count(*) FROM jobs"
    while not (
        await ledger.number(database, tables)
        and await active(database) is not None
        and await ledger.number(database, jobs) >= at_least
    ):
        await asyncio.sleep(0.2)
