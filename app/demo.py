"""The demo: the sandbox and its media site in this process, the bot as a child, nothing left behind.

The bot is the ordinary `tracegram run`, pointed at the sandbox by its settings; it does not know where it is.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import aiohttp

from app.config.demo import demo_environment
from app.errors import AppError
from app.grace import stop_on_signals
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.play import Play
from app.sandbox.media import SAMPLES, serve_media
from app.sandbox.server import Sample, serve

_HOST = "127.0.0.1"
_BOT_ID = 7000000001
_ADMIN = 1000
_START_PATIENCE_S = 60.0
_STOP_PATIENCE_S = 20.0


class DemoFailed(AppError):
    """The demo did not start."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running demo: the sandbox's address, the sample's, and the bot's process."""

    url: str
    sample: str
    metrics: str
    bot: asyncio.subprocess.Process


@asynccontextmanager
async def stage(port: int) -> AsyncIterator[Stage]:
    """Start everything; at the end no process and no file of it is left."""
    ffmpeg = find_ffmpeg(None)
    token = f"{_BOT_ID}:{secrets.token_urlsafe(24)}"
    with tempfile.TemporaryDirectory(prefix="tracegram-demo-") as folder:
        async with serve_media(_HOST, 0, ffmpeg) as media:
            samples = [Sample(title=title, url=media + path) for title, path in SAMPLES]
            async with _sandbox(_HOST, port, samples=samples, token=token) as url:
                web_port = _free_port()
                async with _bot(Path(folder), token, url, media, web_port) as bot:
                    web = f"http://{_HOST}:{web_port}"
                    await _until_healthy(web, bot)
                    yield Stage(url, samples[0].url, f"{web}/metrics", bot)


@asynccontextmanager
async def _sandbox(host: str, port: int, **wanted: Any) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serve(host, port, **wanted))
        except (OSError, ValueError) as error:
            # A port in use, a token that is none: the text says what to do.
            raise DemoFailed(str(error)) from error
        yield url


@asynccontextmanager
async def _bot(
    folder: Path, token: str, url: str, media: str, web_port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = demo_environment() | {
        "BOT_TOKEN": token,
        "BOT_API_URL": url,
        "ADMIN_IDS": str(_ADMIN),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'bot.db'}",
        "WEB_PORT": str(web_port),
        "ALLOW_HOSTS": media.removeprefix("http://"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORT_INTERVAL_MS": "200",
        # No secret of this machine is the demo's.
        "SECRETS_DIR": str(folder),
        # Everything that the bot writes goes away with the demo.
        "TMPDIR": str(folder),
    }
    # The log lines are on the page, beside the trace that they belong to.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        "run",
        "--with-parent",
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        # Ctrl-C is for the demo, which ends its bot in order.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_PATIENCE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


async def _until_healthy(web: str, bot: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    async with aiohttp.ClientSession(web) as session:
        while bot.returncode is None and time.monotonic() < deadline:
            try:
                async with session.get("/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass  # it does not listen yet
            await asyncio.sleep(0.05)
    raise DemoFailed


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def demo(port: int) -> int:
    """Run until SIGINT or SIGTERM, which may come during the start. Prints the page's address when everything is up.

    Raises `DemoFailed` when it does not start, or its bot ends by itself.
    """
    await _unless_ended(_show(port))
    return 0


async def _show(port: int) -> NoReturn:
    print("starting the sandbox and the bot ...", flush=True)
    async with stage(port) as running:
        print(f"metrics {running.metrics}")
        print("Ctrl-C ends it; nothing is left behind")
        print(f"ready {running.url}/", flush=True)
        code = await running.bot.wait()
        raise DemoFailed(f"The demo's bot ended by itself, with code {code}.")


async def play() -> int:
    """Play the main job without a browser. Returns 0 only if the file arrived and the traces are whole."""
    return await _unless_ended(_play())


async def _unless_ended(work: Coroutine[Any, Any, int]) -> int:
    """The code of `work`, or 128 and the number of the signal that ended it. What `work` opened is closed first."""
    working = cast("asyncio.Task[int]", asyncio.current_task())
    came: list[int] = []

    def end(number: int) -> None:
        if not came:  # it is closing already
            working.cancel()
        came.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        return await work
    except asyncio.CancelledError:
        return 128 + came[0]


async def _play() -> int:
    async with stage(0) as running, aiohttp.ClientSession(running.url) as session:
        return await Play(session, running.sample, admin=_ADMIN).run()


async def sandbox_alone(host: str, port: int, token: str | None, media_url: str | None = None) -> int:
    """Run only the local Telegram, until SIGINT or SIGTERM; with `media_url` a media site for its samples as well."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        samples = await _media(stack, host, media_url) if media_url else []
        url = await stack.enter_async_context(_sandbox(host, port, token=token, samples=samples))
        print(f"Bot API      {url}/bot<token>/<method>")
        print(f"control API  {url}/sandbox/openapi.json")
        print(f"OTLP         {url} (set OTEL_EXPORTER_OTLP_ENDPOINT to it to see traces beside messages)")
        print(f"ready {url}/", flush=True)
        await stop.wait()
    return 0


async def _media(stack: AsyncExitStack, host: str, url: str) -> list[Sample]:
    """Serve the media site at the port of `url`. The host of `url` is the bots' business: it may be a name in their network."""
    parts = urlsplit(url)
    try:
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise ValueError(url)
        await stack.enter_async_context(serve_media(host, parts.port, find_ffmpeg(None)))
    except ValueError:
        raise DemoFailed("--media-url must be like http://name:8091, with a port.") from None
    except OSError as error:
        raise DemoFailed(f"--media-url: cannot listen on port {parts.port}; choose another.") from error
    base = f"http://{parts.netloc}"
    return [Sample(title=title, url=base + path) for title, path in SAMPLES]
