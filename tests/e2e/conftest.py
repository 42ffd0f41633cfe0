"""What end-to-end tests share: the media samples, made once a run, and the demo as a newcomer starts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.programs import start


@pytest.fixture(scope="session")
def media_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the media site's samples for the whole run: ffmpeg needs some seconds for them."""
    return tmp_path_factory.mktemp("samples")


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[str]:
    """`tracegram demo` as a process of its own; gives the address of its page."""
    process = await start(tmp_path, "demo", "--port", "0")
    assert process.stdout is not None
    line = b""
    while not line.startswith(b"ready "):
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, "the demo ended before it was ready"
    try:
        yield line.decode().removeprefix("ready ").strip()
    finally:
        process.terminate()
        await process.communicate()
