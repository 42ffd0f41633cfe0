"""A bot as a process of its own, between a local Telegram and the stack."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from app.jobs.engines.ffmpeg import find_ffmpeg
from app.sandbox.media import serve_media
from app.sandbox.server import serve
from app.sandbox.world import first_update_id_at
from deploy.native.configure import ADMIN
from deploy.native.ports import HOST
from deploy.native.processes import Process, start
from deploy.native.programs import ROOT
from deploy.native.run import Stack
from tests.kit.bot import UNLIMITED
from tests.kit.person import Person
from tests.kit.telemetry import SECRETS

ALICE = 1001
#: Where each bot's updates are numbered from: a test may let more come than a second has numbers.
_FIRST_UPDATES = itertools.count(first_update_id_at(time.time()), 10_000)


@dataclass(slots=True)
class Bot:
    """A running bot: people who talk to it, the addresses of its web server and of a media site, and its process."""

    sandbox: aiohttp.ClientSession
    web: str
    media: str
    alice: Person
    admin: Person
    process: Process

    async def fault(self, **fault: Any) -> None:
        """Let the local Telegram fail in some way."""
        async with self.sandbox.post("/sandbox/faults", json=fault) as answer:
            assert answer.status == 200, await answer.text()

    async def mend(self) -> None:
        """Let it fail no more."""
        async with self.sandbox.delete("/sandbox/faults") as answer:
            assert answer.status == 200, await answer.text()

    async def update(self, **update: Any) -> int:
        """Let an update come in as it is given; gives its number."""
        async with self.sandbox.post("/sandbox/updates", json=update) as answer:
            assert answer.status == 200, await answer.text()
            return int((await answer.json())["update_id"])

    async def debug(self, cid: str) -> str:
        """What the bot answers to the admin who asks for a trace; Alertmanager may write into the same chat meanwhile."""
        sent = await self.admin.say(f"/debug {cid}")
        told = await self.admin.until(
            lambda m: m["message_id"] > sent["message_id"] and cid in (m["text"] or "")
        )
        return str(told["text"])

    async def metrics(self) -> str:
        """What Prometheus scrapes."""
        headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.web}/metrics", headers=headers) as answer,
        ):
            return await answer.text()


@asynccontextmanager
async def bot(stack: Stack, folder: Path, **changed: str) -> AsyncIterator[Bot]:
    """Start one that sends to the stack's Collector and is scraped by its Prometheus. `changed` are settings that differ."""
    async with (
        serve_media(HOST, 0, find_ffmpeg(None)) as media,
        serve(
            HOST,
            stack.ports.telegram,
            token=stack.token,
            flood=UNLIMITED,
            first_update_id=next(_FIRST_UPDATES),
        ) as telegram,
        aiohttp.ClientSession(telegram) as sandbox,
    ):
        process = _started(stack, folder, telegram, media, changed)
        web = f"http://{HOST}:{stack.ports.bot}"
        try:
            await process.ready(f"{web}/health")
            yield Bot(sandbox, web, media, Person(sandbox, ALICE), Person(sandbox, ADMIN), process)
        finally:
            await asyncio.to_thread(process.stop)


def _started(stack: Stack, folder: Path, telegram: str, media: str, changed: dict[str, str]) -> Process:
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "BOT_TOKEN": stack.token,
        "BOT_API_URL": telegram,
        "HASH_KEY": SECRETS[1],
        "ADMIN_IDS": str(ADMIN),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'bot.db'}",
        "WEB_PORT": str(stack.ports.bot),
        "ALLOW_HOSTS": media.removeprefix("http://"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp,
        "OTEL_EXPORT_INTERVAL_MS": "200",
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=bot-1",
        "TEMPO_URL": stack.tempo,
        **changed,
    }
    return start("bot", [sys.executable, "-m", "app.cli", "run"], folder / "bot.log", settings, folder)
