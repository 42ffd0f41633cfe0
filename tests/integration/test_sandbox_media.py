"""The media site as its visitors see it."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from app.jobs.engines.ffmpeg import find_ffmpeg
from app.sandbox.media import SAMPLES, serve_media
from app.sandbox.media_hostile import ROUTES


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_the_first_page_names_every_link(media: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{media}/") as answer:
        page = await answer.text()
    for path in [path for _title, path in SAMPLES] + [path for path, _what, _handler in ROUTES]:
        assert f'href="{path}"' in page


@pytest.mark.parametrize(("title", "path"), SAMPLES)
async def test_every_sample_is_there(title: str, path: str, media: str, http: aiohttp.ClientSession) -> None:
    assert title
    async with http.get(media + path) as answer:
        assert answer.status == 200
        assert len(await answer.read()) > 300


async def test_the_page_of_the_sample_has_a_title_and_a_film(media: str, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{media}/watch/sample") as answer:
        page = await answer.text()
    assert '<meta property="og:title" content="Sixty seconds of Tracegram">' in page
    assert 'src="/sample.mp4"' in page


@pytest.mark.parametrize(
    ("path", "content_type"), [("/sample.mp4", "video/mp4"), ("/sample.mp3", "audio/mpeg")]
)
async def test_a_player_can_jump(
    path: str, content_type: str, media: str, http: aiohttp.ClientSession
) -> None:
    async with http.get(media + path) as answer:
        whole = await answer.read()
        assert answer.content_type == content_type
        assert answer.headers["Accept-Ranges"] == "bytes"
    async with http.get(media + path, headers={"Range": "bytes=1000-1999"}) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(whole)}"
        assert await answer.read() == whole[1000:2000]


async def test_two_first_visitors_make_one_sample(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=tmp_path) as media:

        async def size() -> int:
            async with http.get(f"{media}/sample.mp3") as answer:
                return len(await answer.read())

        async with asyncio.TaskGroup() as group:
            sizes = [group.create_task(size()) for _ in range(3)]
    assert len({task.result() for task in sizes}) == 1
    assert files_in(tmp_path) == ["sample.mp3"]


async def test_a_broken_ffmpeg_is_an_error_and_leaves_nothing(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(stat.S_IRWXU)
    samples = tmp_path / "samples"
    samples.mkdir()
    async with serve_media("127.0.0.1", 0, str(broken), samples_dir=samples) as media:
        async with http.get(f"{media}/sample.mp3") as answer:
            assert answer.status == 500
    assert files_in(samples) == []


async def test_the_site_ends_although_its_endless_answers_are_being_read(
    samples_dir: Path, http: aiohttp.ClientSession
) -> None:
    async with serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=samples_dir) as media:
        stalled = await http.get(f"{media}/hostile/stall.mp3")
        slow = await http.get(f"{media}/hostile/slow")
        assert await slow.content.read(1) == b"\xff"
        began = time.monotonic()
    assert time.monotonic() - began < 10
    stalled.close()
    slow.close()


async def test_a_folder_of_its_own_goes_with_the_site(
    tmp_path: Path, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with serve_media("127.0.0.1", 0, find_ffmpeg(None)) as media:
        async with http.get(f"{media}/sample.mp3") as answer:
            assert answer.status == 200
        assert files_in(tmp_path) == ["sample.mp3"]
    assert files_in(tmp_path) == []
