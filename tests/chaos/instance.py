"""One instance, put together from the parts of the product as `app/main.py` does it, with a handler of its own.

What the handler does twice or not at all shows in the ledger: it adds one row, and one to a sum, in `turn.transaction`.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiogram import Dispatcher, Router
from aiogram.types import Message
from sqlalchemy import text

from app.bot.dispatcher import create_bot
from app.bot.feed import Feed
from app.bot.handlers import fallback
from app.bot.intake import Intake
from app.bot.middlewares.measure import Measure
from app.db.session import Database
from app.grace import stop_on_signals
from app.updates.service import Options, Updates
from app.updates.turn import Turn
from app.web.routes import webhook
from app.web.server import serve
from tests.chaos.faults import Fault, plant

TOKEN = "42:TEST-token"
SECRET = "chaos-webhook-secret-of-no-bot"
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h


@dataclass(frozen=True)
class Config:
    """What an instance is started with."""

    slot: int
    port: int
    database_url: str
    shared_connections: bool
    bot_api_url: str
    log: Path
    fault: Fault | None = None
    #: Seconds that a handler takes, outside its transaction; and the file that it then writes a line to, if any.
    work_s: float = 0.0
    effects: Path | None = None
    concurrency: int = 64
    inbox_limit: int = 100_000


class WorseOnce(Exception):
    """A handler's failure that another attempt cures."""


def main(config: Config) -> None:
    """Run until SIGTERM, in a process of its own."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    out = os.open(config.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(levelname)s %(message)s")
    logging.getLogger("aiogram").setLevel(logging.ERROR)
    gc.freeze()
    asyncio.run(run(config))


async def run(config: Config) -> None:
    """The parts, opened in order and closed in the opposite one."""
    stop = stop_on_signals()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell_tasks)
    shared = config.shared_connections
    database = Database(config.database_url, shared_connections=shared)
    lease_database = Database(config.database_url, shared_connections=shared, pool_size=2)
    if config.fault is not None:
        plant(config.fault, database, lease_database)
    bot = create_bot(TOKEN, config.bot_api_url)
    dispatcher = Dispatcher(name="chaos", disable_fsm=True)
    dispatcher.update.outer_middleware(Measure(60.0))
    dispatcher.include_routers(_sleeping(config) if config.work_s else _booking(), fallback.router())
    feed = Feed(dispatcher, bot)
    options = Options(
        inbox_limit=config.inbox_limit,
        concurrency=config.concurrency,
        heartbeat_s=1.0,
        expiry_s=4.0,
        body_retention_h=0,
        row_retention_h=25,
    )
    updates = Updates(database, lease_database, feed, options)
    routes = webhook.routes(Intake(updates.door, updates.lease).receive, SECRET)
    async with updates.storing(), serve("127.0.0.1", config.port, routes):
        async with asyncio.TaskGroup() as group:
            running = group.create_task(updates.run(_nothing_else))
            await stop.wait()
            running.cancel()
    await bot.session.close()
    await lease_database.close()
    await database.close()


async def _nothing_else() -> None:
    await asyncio.Event().wait()


def _tell_tasks() -> None:
    """Write down what each task waits for, for whoever looks into a storm that does not end."""
    for task in asyncio.all_tasks():
        print(os.getpid(), task.get_name(), *_awaited(task.get_coro()), sep="\n  ", flush=True)


def _awaited(coroutine: Any) -> Iterator[str]:
    """What a coroutine waits for, the innermost last; a task's own stack ends at its first frame."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        yield (
            f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            if frame
            else repr(coroutine)
        )
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def _booking() -> Router:
    async def book(message: Message, turn: Turn) -> None:
        began = time.time()
        seq, sent_at = (message.text or "").split()
        if int(seq) % 97 == 0 and turn.claimed.attempt == 1:
            raise WorseOnce
        row = {
            "update_id": turn.claimed.update_id,
            "chat": message.chat.id,
            "seq": int(seq),
            "epoch": turn.epoch,
            "attempt": turn.claimed.attempt,
            "sent_at": float(sent_at),
            "began_at": began,
        }
        async with turn.transaction() as session:
            await session.execute(_BOOK, row)
            await asyncio.sleep(0.05 if random.random() < 0.05 else 0.002)
            await session.execute(_ADD, {"chat": message.chat.id})

    router = Router(name="booking")
    router.message.register(book)
    return router


_BOOK = text(
    "INSERT INTO chaos_effects (update_id, chat, seq, epoch, attempt, sent_at, began_at)"
    " VALUES (:update_id, :chat, :seq, :epoch, :attempt, :sent_at, :began_at)"
)
_ADD = text("UPDATE chaos_sums SET n = n + 1 WHERE chat = :chat")


def _sleeping(config: Config) -> Router:
    out = os.open(config.effects or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def work(message: Message, turn: Turn) -> None:
        await asyncio.sleep(config.work_s)
        os.write(out, b"%d\n" % turn.claimed.update_id)

    router = Router(name="sleeping")
    router.message.register(work)
    return router
