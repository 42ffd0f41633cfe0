"""A bot as aiogram's documents show it: `SimpleRequestHandler`, acknowledging after the work or before it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from aiogram import Bot, Dispatcher
from aiogram.types import Message
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

from app.web.routes.webhook import PATH
from tests.chaos.instance import DIE_WITH_PARENT, SECRET, TOKEN


@dataclass(frozen=True)
class Config:
    """`first`: acknowledge first, and work in the background."""

    port: int
    first: bool
    work_s: float
    effects: Path


def main(config: Config) -> None:
    """Run until killed, in a process of its own."""
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_run(config))


async def _run(config: Config) -> None:
    out = os.open(config.effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def work(message: Message) -> None:
        await asyncio.sleep(config.work_s)
        os.write(out, b"%d\n" % message.message_id)

    application = web.Application()
    handler = SimpleRequestHandler(
        dispatcher, Bot(TOKEN), handle_in_background=config.first, secret_token=SECRET
    )
    handler.register(application, path=PATH)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", config.port).start()
    await asyncio.Event().wait()
