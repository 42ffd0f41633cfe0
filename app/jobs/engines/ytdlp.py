"""The engine for links: one locked-in child process per download, ended as a group at its deadline, on
cancellation, or when it is done. The engine itself never reads a stranger's bytes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.errors import EngineFailed, TookTooLong, TooLarge
from app.jobs.engines.links import check_link
from app.jobs.engines.wire import RESULT_NAME, Failed, Finished, Line, Order, decode_line
from app.jobs.ports import AudioRequest, Limits, MediaResult, OnProgress

_CHILD = ("-I", "-X", "utf8", "-m", "app.jobs.engines.download_child")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_REAP_TRIES = 100


class YtDlpEngine:
    """Audio of what yt-dlp finds behind a link, as an mp3."""

    def __init__(self, *, limits: Limits, ffmpeg: str, allow_hosts: frozenset[str] = frozenset()) -> None:
        """`ffmpeg` is an absolute path. `allow_hosts` are `host:port`, as a link writes them, that may be
        reached though their address is private."""
        self._limits = limits
        self._ffmpeg = ffmpeg
        self._allow_hosts = tuple(sorted(allow_hosts))

    async def run(self, request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        """See `ports.Engine`. `on_progress` is awaited between two lines of the child, so it should be quick."""
        order = self._order(request)
        try:
            async with asyncio.timeout(self._limits.deadline_s) as clock, _child(workdir) as process:
                finished = await _follow(process, order, on_progress)
        except TimeoutError:
            if clock.expired():
                raise TookTooLong from None
            raise
        return self._result(finished, workdir / RESULT_NAME)

    def _order(self, request: AudioRequest) -> Order:
        return Order(
            url=check_link(request.url),
            bitrate=request.bitrate,
            max_bytes=self._limits.max_bytes,
            max_duration_s=self._limits.max_duration_s,
            deadline_s=self._limits.deadline_s,
            ffmpeg=self._ffmpeg,
            allow_hosts=self._allow_hosts,
            parent_pid=os.getpid(),
        )

    def _result(self, finished: Finished, path: Path) -> MediaResult:
        try:
            found = path.lstat()
        except FileNotFoundError:
            raise EngineFailed("the engine's child made no file") from None
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
            raise EngineFailed("the engine's child made no proper file")
        if found.st_size > self._limits.max_bytes:
            raise TooLarge
        return MediaResult(
            path=path,
            title=finished.title,
            performer=finished.performer,
            duration_s=finished.duration_s,
            size_bytes=found.st_size,
            mime_type="audio/mpeg",
        )


@asynccontextmanager
async def _child(workdir: Path) -> AsyncIterator[Process]:
    """Start the child in a group of its own; at the end nothing of the group is left, not even a zombie."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_CHILD,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,  # full of links; what matters of it comes as a line
        cwd=workdir,
        env=_environment(workdir),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _reap(process)


def _environment(workdir: Path) -> dict[str, str]:
    """Nothing is inherited: the parent's environment holds the token."""
    return {
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "YTDLP_NO_PLUGINS": "1",
    }


async def _reap(process: Process) -> None:
    """Wait until nobody of a killed group is left, for at most a second: a signal takes its time."""
    _, reader = _pipes(process)
    while await reader.read(65536):
        pass
    await process.wait()
    for _ in range(_REAP_TRIES):
        try:
            # The child's own child is ours now if we are process 1 of a container; nobody else would reap it.
            with suppress(ChildProcessError):
                os.waitpid(-process.pid, os.WNOHANG)  # noqa: ASYNC222  # WNOHANG does not wait
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(0.01)


async def _follow(process: Process, order: Order, on_progress: OnProgress) -> Finished:
    """Hand over the order and read lines until one of them is the end."""
    writer, reader = _pipes(process)
    with suppress(BrokenPipeError, ConnectionResetError):
        writer.write(order.encode())
        await writer.drain()
    writer.close()
    while line := await _next_line(reader):
        if isinstance(line, Finished):
            return line
        if isinstance(line, Failed):
            raise line.error()
        await on_progress(line)
    code = await process.wait()
    if code == -signal.SIGXCPU:
        raise TookTooLong
    raise EngineFailed(f"the engine's child ended with code {code}, without a word")


def _pipes(process: Process) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise EngineFailed("the engine's child has no pipes")
    return process.stdin, process.stdout


async def _next_line(reader: asyncio.StreamReader) -> Line | None:
    """Give the next line, or None at the end. A line that is too long or not ours is an EngineFailed."""
    try:
        data = await reader.readline()
        return decode_line(data) if data else None
    except ValueError:
        raise EngineFailed("the engine's child said something strange") from None
