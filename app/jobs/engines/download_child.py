"""The child process of one download: reads an order on stdin, writes JSON lines on stdout, ends. It locks itself
in first, and imports neither aiogram nor the database nor telemetry."""

from __future__ import annotations

import io
import math
import os
import sys
import time
from pathlib import Path

from app.jobs.engines import convert
from app.jobs.engines.confine import (
    allow_only,
    bound_parsing,
    die_with_parent,
    end_parsing,
    limit_resources,
)
from app.jobs.engines.fetch import fetch
from app.jobs.engines.netguard import NetGuard
from app.jobs.engines.verdict import judge
from app.jobs.engines.wire import (
    RESULT_NAME,
    Finished,
    Line,
    Order,
    clean_performer,
    clean_title,
    encode_line,
)
from app.jobs.ports import Progress, Stage

_PAUSE_S = 0.25
"""Least time between two progress lines of one stage."""

_PARSING_S = 30.0
"""Processor seconds without a byte of media, at most: a page can be written to keep yt-dlp's patterns busy."""

_ROOM_FOR_PAGES = 32 * 1024 * 1024
"""Bytes that pages, manifests and a second try may use beyond the file itself."""


class Speaker:
    """Writes the lines. Within a stage the fraction only grows, though a retry may begin again."""

    def __init__(self, out: io.TextIOBase) -> None:
        self._out = out
        self._stage: Stage | None = None
        self._best = 0.0
        self._next = 0.0

    def say(self, line: Line) -> None:
        self._out.write(encode_line(line) + "\n")
        self._out.flush()

    def progress(self, stage: Stage, done: float, total: float | None) -> None:
        if stage != self._stage:
            self._stage, self._best, self._next = stage, 0.0, 0.0
        now = time.monotonic()
        complete = bool(total) and done >= (total or 0.0)
        if now < self._next and not (complete and self._best < 1.0):
            return
        self._next = now + _PAUSE_S
        fraction = None
        if total:
            fraction = self._best = max(self._best, min(done / total, 1.0))
        self.say(Progress(stage, fraction))


def carry_out(order: Order, workdir: Path, guard: NetGuard, speaker: Speaker) -> Finished:
    """Download, look, convert. Raises a JobError, or whatever yt-dlp raises."""
    speaker.progress("probing", 0.0, None)
    guard.install()
    parsing_s = min(_PARSING_S, order.deadline_s / 4)

    def on_bytes(done: int, total: int | None) -> None:
        bound_parsing(parsing_s)
        speaker.progress("downloading", done, total)

    bound_parsing(parsing_s)
    fetched = fetch(order, workdir, on_bytes)
    end_parsing()
    source = convert.probe(order.ffmpeg, fetched.path)
    titles = (fetched.title, source.title) if fetched.titled else (source.title, fetched.title)
    mp3 = convert.Mp3(
        path=workdir / RESULT_NAME,
        bitrate=order.bitrate,
        max_bytes=order.max_bytes,
        max_duration_s=order.max_duration_s,
        title=clean_title(titles[0] or titles[1]),
        performer=clean_performer(fetched.performer or source.performer),
    )
    convert.check_size(source.duration_s, mp3)
    speaker.progress("converting", 0.0, source.duration_s)
    seconds = convert.to_mp3(
        order.ffmpeg, fetched.path, mp3, lambda done: speaker.progress("converting", done, source.duration_s)
    )
    speaker.progress("converting", 1.0, 1.0)
    fetched.path.unlink()
    return Finished(mp3.title, mp3.performer, seconds)


def main() -> None:
    """Lock in, do the order, say how it ended."""
    speaker = Speaker(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever a library prints must not look like a line of ours
    order = Order.decode(sys.stdin.buffer.read())
    guard = NetGuard(order.allow_hosts, byte_budget=order.max_bytes + _ROOM_FOR_PAGES)
    try:
        die_with_parent(order.parent_pid)
        limit_resources(
            file_bytes=order.max_bytes + _ROOM_FOR_PAGES, cpu_s=math.ceil(2 * order.deadline_s) + 5
        )
        allow_only(order.ffmpeg)
        speaker.say(carry_out(order, Path.cwd(), guard, speaker))
    except Exception as error:
        speaker.say(judge(error, guard))


if __name__ == "__main__":
    main()
