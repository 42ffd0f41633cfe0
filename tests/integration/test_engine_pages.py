"""What a page may cost: neither the machine's memory nor a core until the deadline, however it is written."""

from __future__ import annotations

import asyncio
import sys
import time
import zlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.errors import TookTooLong
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import AudioRequest, Limits, Progress
from app.sandbox.media import serve_media

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone keeps the limit on memory")

MAX_RSS_KB = 400 * 1024
DEADLINE_S = 20.0

# A process of its own, so that the engine's child is its only one.
PARENT = """
import asyncio, resource, sys
from pathlib import Path
from app.errors import JobError
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import AudioRequest, Limits

async def ignore(progress): ...

base, path, workdir = sys.argv[1:]
allow = frozenset({base.removeprefix("http://")})
engine = YtDlpEngine(limits=Limits(deadline_s=60.0), ffmpeg="/bin/true", allow_hosts=allow)
try:
    asyncio.run(engine.run(AudioRequest(base + path), Path(workdir), ignore))
except JobError as error:
    print(type(error).__name__, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
async def media(tmp_path: Path) -> AsyncIterator[str]:
    async with serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=tmp_path) as base:
        yield base


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@asynccontextmanager
async def downloading(base: str, path: str, workdir: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, base, path, str(workdir), stdin=DEVNULL, stdout=PIPE
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def end_and_rss(base: str, path: str, workdir: Path) -> tuple[str, int]:
    async with downloading(base, path, workdir) as process:
        said, _ = await process.communicate()
    end, rss = said.decode().split()
    return end, int(rss)


@pytest.mark.parametrize("name", ["bomb-page", "bomb-error", "deep-page"])
async def test_a_large_page_is_not_kept_in_memory(name: str, media: str, workdir: Path) -> None:
    end, rss = await end_and_rss(media, f"/hostile/{name}", workdir)
    assert end == "TooLarge"
    assert rss < MAX_RSS_KB


async def test_a_redirect_with_a_large_page_is_not_kept_in_memory(workdir: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    body = b"".join([*(packer.compress(bytes(1024**2)) for _ in range(600)), packer.flush()])
    head = f"Location: /\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 302 Found\r\nConnection: close\r\n" + head + body)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        _, rss = await end_and_rss(base, "/", workdir)
    assert rss < MAX_RSS_KB


async def test_a_tangled_page_is_given_up_long_before_the_deadline(media: str, workdir: Path) -> None:
    async def ignore(_progress: Progress) -> None: ...

    allow = frozenset({media.removeprefix("http://")})
    engine = YtDlpEngine(limits=Limits(deadline_s=DEADLINE_S), ffmpeg=find_ffmpeg(None), allow_hosts=allow)
    began = time.monotonic()
    with pytest.raises(TookTooLong):
        await engine.run(AudioRequest(f"{media}/hostile/tangled-page"), workdir, ignore)
    assert time.monotonic() - began < 0.75 * DEADLINE_S
