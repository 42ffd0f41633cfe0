"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.jobs import worker
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.sandbox.media import serve_media
from tests.kit.telemetry import Captured


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, telemetry: Captured) -> Path:
    """Where a worker makes its work folders. Its waits are short, and its spans are recorded."""
    monkeypatch.setattr(worker, "_POLL_EVERY_S", 0.02)
    monkeypatch.setattr(worker, "_RETRY_AFTER_S", 0.0)
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def samples_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the media site keeps its samples: they are made once for all modules."""
    return tmp_path_factory.mktemp("media-site")


@pytest.fixture
async def media(samples_dir: Path) -> AsyncIterator[str]:
    """The address of a running media site."""
    async with serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=samples_dir) as base:
        yield base
