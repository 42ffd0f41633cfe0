"""No process outlives its download, whatever ends it, and none of them learns a secret. A stand-in for ffmpeg that
never ends plays the grandchild."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from app.errors import EngineFailed, NotMedia, TookTooLong
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import AudioRequest, Limits, Progress

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

ENDLESS = "echo $$ > grandchild.pid; exec sleep 300"
SECRET = "4242:PLANTED-SECRET"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "parent" / "work"
    folder.mkdir(parents=True)
    return folder


def stand_in(folder: Path, script: str) -> str:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def engine(media: str, ffmpeg: str, deadline_s: float = 30.0) -> YtDlpEngine:
    limits = Limits(max_bytes=4_000_000, deadline_s=deadline_s)
    return YtDlpEngine(limits=limits, ffmpeg=ffmpeg, allow_hosts=frozenset({media.removeprefix("http://")}))


async def ignore(_progress: Progress) -> None: ...


def living_in(folder: Path) -> list[int]:
    """Processes that work in a folder; a child and its ffmpeg do so from start to end."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "cwd") == str(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def own_children() -> set[str]:
    """Children of this process, zombies too."""
    tasks = Path("/proc/self/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text().split()}


@pytest.fixture(autouse=True)
def others() -> None:
    """Children that are there before the test: what watches over the run's PostgreSQL."""
    _others.clear()
    _others.update(own_children())


_others: set[str] = set()


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


def assert_nothing_is_left(workdir: Path) -> None:
    assert living_in(workdir) == []
    assert own_children() <= _others
    assert list(workdir.parent.iterdir()) == [workdir]


async def test_cancelling_a_download_ends_its_process(media: str, workdir: Path) -> None:
    began = asyncio.Event()

    async def on_progress(_progress: Progress) -> None:
        began.set()

    async with asyncio.TaskGroup() as group:
        run = engine(media, find_ffmpeg(None)).run(
            AudioRequest(f"{media}/hostile/slow"), workdir, on_progress
        )
        task = group.create_task(run)
        await began.wait()
        assert living_in(workdir)
        task.cancel()
    assert task.cancelled()
    assert_nothing_is_left(workdir)


async def test_cancelling_a_conversion_ends_ffmpeg_too(media: str, workdir: Path, tmp_path: Path) -> None:
    ffmpeg = stand_in(tmp_path, ENDLESS)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            engine(media, ffmpeg).run(AudioRequest(f"{media}/sample.mp3"), workdir, ignore)
        )
        await until((workdir / "grandchild.pid").exists)
        assert len(living_in(workdir)) == 2
        task.cancel()
    assert task.cancelled()
    assert_nothing_is_left(workdir)


async def test_the_deadline_ends_ffmpeg_too(media: str, workdir: Path, tmp_path: Path) -> None:
    ffmpeg = stand_in(tmp_path, ENDLESS)
    async with aiohttp.ClientSession() as session, session.get(f"{media}/sample.mp3") as answer:
        assert answer.status == 200  # it is made when somebody asks for it first
    with pytest.raises(TookTooLong):
        await engine(media, ffmpeg, deadline_s=8.0).run(AudioRequest(f"{media}/sample.mp3"), workdir, ignore)
    assert (workdir / "grandchild.pid").exists()
    assert_nothing_is_left(workdir)


async def test_a_crash_of_the_child_ends_ffmpeg_too(media: str, workdir: Path, tmp_path: Path) -> None:
    ffmpeg = stand_in(tmp_path, f"kill -9 $PPID; {ENDLESS}")
    with pytest.raises(EngineFailed, match="code -9"):
        await engine(media, ffmpeg).run(AudioRequest(f"{media}/sample.mp3"), workdir, ignore)
    assert_nothing_is_left(workdir)


async def test_an_error_of_the_listener_is_handed_on_and_ends_the_process(media: str, workdir: Path) -> None:
    async def on_progress(_progress: Progress) -> None:
        raise TimeoutError("of the listener")

    with pytest.raises(TimeoutError, match="of the listener"):
        await engine(media, find_ffmpeg(None)).run(
            AudioRequest(f"{media}/hostile/slow"), workdir, on_progress
        )
    assert_nothing_is_left(workdir)


PARENT = """
import asyncio, sys
from pathlib import Path
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import AudioRequest, Limits

async def ignore(progress): ...

media, ffmpeg, workdir = sys.argv[1:]
engine = YtDlpEngine(limits=Limits(), ffmpeg=ffmpeg, allow_hosts=frozenset({media.removeprefix("http://")}))
asyncio.run(engine.run(AudioRequest(media + "/sample.mp3"), Path(workdir), ignore))
"""


async def test_a_killed_parent_takes_child_and_ffmpeg_with_it(
    media: str, workdir: Path, tmp_path: Path
) -> None:
    ffmpeg = stand_in(tmp_path, ENDLESS)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, media, ffmpeg, str(workdir), stdin=subprocess.DEVNULL
    )
    try:
        await until((workdir / "grandchild.pid").exists)
        assert len(living_in(workdir)) == 2
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
        await until(lambda: not living_in(workdir))
    finally:
        for pid in living_in(workdir):
            os.kill(pid, signal.SIGKILL)
        if parent.returncode is None:
            parent.kill()
            await parent.wait()


STARTER = """
import os, subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], str(os.getpid())])
"""
# Adding up is one call into C, so that no handler of a signal would have its turn.
BUSY = """
import os, sys
from app.jobs.engines.confine import die_with_parent
die_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
sum(range(10**11))
"""


def test_a_killed_parent_takes_a_busy_child_with_it_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, BUSY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        try:
            parent.kill()
            child.wait(timeout=5.0)
        finally:
            with suppress(psutil.NoSuchProcess):
                child.kill()


async def test_no_process_learns_a_secret_or_shows_the_link(
    media: str, workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", SECRET)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    seen = tmp_path / "seen"
    seen.mkdir()
    ffmpeg = stand_in(
        tmp_path,
        f"cd {seen}; cat /proc/$$/environ > own; cat /proc/$PPID/environ > parent; cat /proc/$PPID/cmdline > line",
    )
    with pytest.raises(NotMedia):  # the stand-in describes nothing
        await engine(media, ffmpeg).run(AudioRequest(f"{media}/sample.mp3"), workdir, ignore)
    parent, own, line = ((seen / name).read_bytes() for name in ("parent", "own", "line"))
    assert f"HOME={workdir}".encode() in parent
    assert f"TMPDIR={workdir}".encode() in parent
    for told in (parent, own, line):
        assert told
        assert SECRET.encode() not in told
        assert media.removeprefix("http://").encode() not in told
        assert b"proxy" not in told.lower()


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("download_child", {"aiogram", "aiohttp", "sqlalchemy", "opentelemetry", "pydantic"}),
        ("ytdlp", {"yt_dlp", "aiogram", "sqlalchemy", "opentelemetry"}),
    ],
)
def test_child_and_parent_import_only_what_is_theirs(module: str, banned: set[str]) -> None:
    program = f"import app.jobs.engines.{module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert banned.isdisjoint(done.stdout.split())


async def test_ffmpeg_inherits_the_limits_of_its_parent(media: str, workdir: Path, tmp_path: Path) -> None:
    seen = tmp_path / "limits"
    ffmpeg = stand_in(tmp_path, f"cat /proc/$$/limits > {seen}")
    with pytest.raises(NotMedia):
        await engine(media, ffmpeg).run(AudioRequest(f"{media}/sample.mp3"), workdir, ignore)
    limits = {line[:25].strip(): line[26:].split()[:2] for line in seen.read_text().splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max cpu time"] == ["65", "65"]
    assert limits["Max address space"] == [str(1024**3)] * 2
    assert limits["Max file size"] == [str(4_000_000 + 32 * 1024**2)] * 2


CONFINED = """
import os, subprocess
from app.jobs.engines.confine import allow_only
allow_only("/bin/true")
subprocess.run(["/bin/true"], check=True)
for start in (
    lambda: subprocess.run(["/bin/sh", "-c", "echo started"]),
    lambda: subprocess.run("echo started", shell=True),
    lambda: os.system("echo started"),
    lambda: os.posix_spawn("/bin/echo", ["echo", "started"], {}),
    lambda: os.execv("/bin/echo", ["echo", "started"]),
):
    try:
        start()
    except PermissionError:
        print("refused")
"""


def test_the_child_can_start_no_program_but_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["refused"] * 5
