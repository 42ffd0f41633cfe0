"""The whole bot in this process, against the sandbox over real HTTP: an update goes in at Telegram's end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from app.config.settings import Settings
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.main import run
from app.sandbox.media import serve_media
from app.sandbox.server import FloodLimits, serve
from deploy.native.ports import free_numbers
from tests.kit.person import Person
from tests.kit.telemetry import SECRETS, TOKEN, Captured

ALICE, BORIS, ADMIN = 1001, 1002, 1000
#: A quick machine sends more than Telegram allows in a second; a test that wants a 429 asks for one.
UNLIMITED = FloodLimits(bot_rate=10_000, bot_burst=10_000, chat_rate=10_000, chat_burst=10_000)


@dataclass(slots=True)
class World:
    """A running bot, the sandbox that it talks to, and a media site to download from."""

    sandbox: aiohttp.ClientSession
    web: aiohttp.ClientSession
    media: str
    alice: Person
    boris: Person
    admin: Person
    stop: asyncio.Event
    port: int

    async def fault(self, **fault: Any) -> None:
        """Let the sandbox fail in some way."""
        async with self.sandbox.post("/sandbox/faults", json=fault) as response:
            assert response.status == 200, await response.text()

    async def calls(self, method: str) -> list[dict[str, Any]]:
        """The Bot API calls of one method so far."""
        async with self.sandbox.get("/sandbox/calls", params={"method": method}) as response:
            calls: list[dict[str, Any]] = (await response.json())["calls"]
            return calls

    async def health(self) -> dict[str, Any]:
        """What `/health` says."""
        async with self.web.get("/health") as response:
            body: dict[str, Any] = await response.json()
            return body

    async def active(self) -> None:
        """Wait until the bot processes updates."""
        for _ in range(600):
            if (await self.health())["lock_state"] == "ACTIVE":
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the bot stays PASSIVE")

    async def updates_done(self) -> None:
        """Wait until the bot has confirmed every update, and processed it."""
        for _ in range(600):
            async with self.sandbox.get("/sandbox/state") as response:
                state = await response.json()
            pending = any(bot["pending_updates"] for bot in state["bots"])
            if not pending and (await self.health()).get("inbox_depth") == 0:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the bot does not take its updates")


_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, nor will by chance, and that nobody was given in this run."""
    while (port := free_numbers(1)[0]) in _given:
        pass
    _given.add(port)
    return port


@asynccontextmanager
async def world(
    telemetry: Captured,
    folder: Path,
    *,
    media_samples: Path | None = None,
    also_allowed: str = "",
    until: str = "/health",
    **changed: Any,
) -> AsyncIterator[World]:
    """Start everything and stop it again. `changed` are settings that differ; it runs when the door `until` answers."""
    async with (
        serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=media_samples) as media,
        serve("127.0.0.1", 0, token=TOKEN, flood=UNLIMITED) as url,
        aiohttp.ClientSession(url) as sandbox,
    ):
        port = free_port()
        values: dict[str, Any] = {
            "bot_token": TOKEN,
            "bot_api_url": url,
            "webhook_secret": SECRETS[0],
            "admin_ids": str(ADMIN),
            "database_url": f"sqlite+aiosqlite:///{folder / 'bot.db'}",
            "web_port": port,
            "allow_hosts": f"{media.removeprefix('http://')},{also_allowed}",
            "webhook_url": f"http://127.0.0.1:{port}",
            **changed,
        }
        settings = Settings(_env_file=None, **values)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as web:
            running = group.create_task(run(settings, telemetry.telemetry, stop))
            try:
                await _until_ready(web, until, running)
                alice, boris, admin = (Person(sandbox, uid) for uid in (ALICE, BORIS, ADMIN))
                yield World(sandbox, web, media, alice, boris, admin, stop, port)
            finally:
                stop.set()
                await running


async def _until_ready(web: aiohttp.ClientSession, path: str, running: asyncio.Task[None]) -> None:
    while not running.done():
        try:
            async with web.get(path):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.02)
