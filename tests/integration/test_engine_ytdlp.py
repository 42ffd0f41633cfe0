"""Links in, mp3 or one clear reason out: the engine against the real media site over loopback."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import traceback
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from app.errors import (
    JobError,
    LinkNotAllowed,
    LinkUnreachable,
    NothingToDownload,
    NotMedia,
    TookTooLong,
    TooLarge,
    TooLong,
)
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import AudioRequest, Limits, MediaResult, Progress
from app.sandbox.media import SAMPLES
from app.sandbox.media_hostile import ROUTES

STAGES = ["probing", "downloading", "converting"]
# The ones that take as long as they may get a short one; the others must end by themselves.
SMALL = Limits(max_bytes=2_000_000, deadline_s=30.0)
SHORT = Limits(max_bytes=2_000_000, deadline_s=1.0)

HOSTILE: dict[type[JobError], list[str]] = {
    LinkNotAllowed: ["redirect-loopback", "redirect-metadata", "private-piece.m3u8"],
    TooLarge: [
        *("endless.mp3", "endless-lying.mp3", "endless-page", "huge.mp4"),
        *("bomb.mp3", "bomb-page", "bomb-error", "deep-page"),
    ],
    NotMedia: ["not-media.mp3", "playlist.mp3", "concat.mp3", "program.exe"],
    NothingToDownload: ["live.m3u8", "empty.mp3", "text"],
    LinkUnreachable: ["missing", "error"],
    TookTooLong: ["slow", "stall.mp3", "tangled-page"],
}


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    return find_ffmpeg(None)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "parent" / "work"
    folder.mkdir(parents=True)
    return folder


class Heard(list[Progress]):
    async def __call__(self, progress: Progress) -> None:
        self.append(progress)


async def download(
    url: str,
    workdir: Path,
    ffmpeg: str,
    *,
    allow: str = "",
    limits: Limits = SMALL,
    heard: Heard | None = None,
    bitrate: int = 192,
) -> MediaResult:
    hosts = frozenset({allow.removeprefix("http://")} - {""})
    engine = YtDlpEngine(limits=limits, ffmpeg=ffmpeg, allow_hosts=hosts)
    return await engine.run(AudioRequest(url, bitrate), workdir, Heard() if heard is None else heard)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def list_of(folder: Path, name: str) -> list[Path]:
    return list(folder.rglob(name))


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*"))


def probed(ffmpeg: str, path: Path) -> str:
    command = [ffmpeg, "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stderr


def duration_of(report: str) -> float:
    hours, minutes, seconds = re.findall(r"Duration: (\d+):(\d+):([\d.]+)", report)[0]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


async def test_the_sample_page_becomes_an_mp3_of_sixty_seconds(
    media: str, workdir: Path, ffmpeg: str
) -> None:
    result = await download(f"{media}/watch/sample", workdir, ffmpeg, allow=media)

    data = result.path.read_bytes()
    assert data[:3] == b"ID3"
    assert 1_400_000 < len(data) == result.size_bytes < 1_500_000  # 192 kbit/s for 60 s
    assert result.mime_type == "audio/mpeg"
    assert result.title == "Sixty seconds of Tracegram"
    assert result.duration_s is not None
    assert 59.5 <= result.duration_s <= 60.5
    report = probed(ffmpeg, result.path)
    assert 59.5 <= duration_of(report) <= 60.5
    assert "Audio: mp3" in report
    assert re.search(r"title\s+: Sixty seconds of Tracegram", report)
    assert names_in(workdir) == ["audio.mp3"]
    assert names_in(workdir.parent) == [workdir.name]


@pytest.mark.parametrize("path", [path for _title, path in SAMPLES[1:]])
async def test_every_other_sample_becomes_one_too(path: str, media: str, workdir: Path, ffmpeg: str) -> None:
    result = await download(media + path, workdir, ffmpeg, allow=media, bitrate=64)
    assert 59.5 <= duration_of(probed(ffmpeg, result.path)) <= 60.5
    assert result.size_bytes < 600_000  # 64 kbit/s


async def test_progress_only_goes_forward_and_ends_with_the_conversion(
    media: str, workdir: Path, ffmpeg: str
) -> None:
    heard = Heard()
    await download(f"{media}/sample.mp4", workdir, ffmpeg, allow=media, heard=heard)

    assert [stage for stage in STAGES if stage in {p.stage for p in heard}] == STAGES
    assert heard[0] == Progress("probing", None)
    assert heard[-1] == Progress("converting", 1.0)
    for before, after in pairwise(heard):
        assert (STAGES.index(before.stage), before.fraction or 0.0) <= (
            STAGES.index(after.stage),
            after.fraction or 0.0,
        )


def test_every_hostile_link_of_the_site_has_an_expected_end() -> None:
    expected = [f"/hostile/{name}" for names in HOSTILE.values() for name in names]
    assert sorted(expected) == sorted(path for path, _what, _handler in ROUTES)


@pytest.mark.parametrize("error", HOSTILE, ids=lambda error: error.__name__)
async def test_a_hostile_link_ends_with_its_one_reason(
    error: type[JobError], media: str, workdir: Path, ffmpeg: str
) -> None:
    limits = SHORT if error is TookTooLong else SMALL

    async def end_of(name: str) -> BaseException:
        folder = workdir / name
        folder.mkdir()
        with pytest.raises(JobError) as raised:
            await download(f"{media}/hostile/{name}", folder, ffmpeg, allow=media, limits=limits)
        return raised.value

    ends = await asyncio.gather(*map(end_of, HOSTILE[error]))

    assert {name: type(end) for name, end in zip(HOSTILE[error], ends, strict=True)} == dict.fromkeys(
        HOSTILE[error], error
    )
    assert media.removeprefix("http://") not in "".join(map(told, ends))
    assert not list_of(workdir, "audio.mp3")
    assert sorted(names_in(workdir)) == sorted(HOSTILE[error])
    assert names_in(workdir.parent) == [workdir.name]
    assert size_of(workdir) < 2 * SMALL.max_bytes * len(ends)


async def test_a_film_of_two_gigabytes_is_refused_by_its_headers(
    media: str, workdir: Path, ffmpeg: str
) -> None:
    heard = Heard()
    with pytest.raises(TooLarge):
        await download(f"{media}/hostile/huge.mp4", workdir, ffmpeg, allow=media, heard=heard)
    assert heard == [Progress("probing", None)]
    assert names_in(workdir) == []


async def test_of_a_page_without_an_end_little_is_read(workdir: Path, ffmpeg: str) -> None:
    sent = 0

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><p>")
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
                sent += 65_536
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TooLarge):
            await download(base, workdir, ffmpeg, allow=base)
    assert SMALL.max_bytes < sent < 64 * 1024 * 1024


@pytest.mark.parametrize("spelling", ["127.0.0.1", "2130706433"])
async def test_a_private_address_is_not_allowed(
    spelling: str, media: str, workdir: Path, ffmpeg: str
) -> None:
    port = media.rpartition(":")[2]
    with pytest.raises(LinkNotAllowed):
        await download(f"http://{spelling}:{port}/sample.mp3", workdir, ffmpeg)


async def test_an_allowed_host_is_allowed_as_it_is_spelled_only(
    media: str, workdir: Path, ffmpeg: str
) -> None:
    with pytest.raises(LinkNotAllowed):
        await download(media.replace("127.0.0.1", "localhost"), workdir, ffmpeg, allow=media)


async def test_a_dead_link_is_unreachable(workdir: Path, ffmpeg: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(LinkUnreachable):
        await download(f"{closed}/a.mp3", workdir, ffmpeg, allow=closed)


async def test_an_unknown_host_is_unreachable(workdir: Path, ffmpeg: str) -> None:
    with pytest.raises(LinkUnreachable):
        await download("http://no-such-host.invalid/a.mp3", workdir, ffmpeg)


@pytest.mark.parametrize(
    "url",
    [
        "song",
        "ftp://127.0.0.1/a",
        "http://u:p@example.org/",
        "http://example.org/\n",
        f"http://a/{'a' * 10_240}",
    ],
)
async def test_bad_input_is_refused_before_a_process_is_started(url: str, tmp_path: Path) -> None:
    with pytest.raises(LinkNotAllowed):
        await download(url, tmp_path / "not-there", "/not/there")


async def test_too_long_a_tune_is_not_converted(media: str, workdir: Path, ffmpeg: str) -> None:
    limits = Limits(max_duration_s=10, deadline_s=30.0)
    with pytest.raises(TooLong):
        await download(f"{media}/sample.mp3", workdir, ffmpeg, allow=media, limits=limits)


async def test_too_large_a_result_is_not_made(media: str, workdir: Path, ffmpeg: str) -> None:
    with pytest.raises(TooLarge):
        await download(f"{media}/sample.mp3", workdir, ffmpeg, allow=media, bitrate=320)
