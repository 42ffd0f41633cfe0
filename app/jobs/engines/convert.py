"""Makes the mp3 with ffmpeg, in the child process. ffmpeg reads one local file and may open nothing else: the
lists below keep out every format that names other files or addresses (HLS, DASH, concat, SDP)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.errors import EngineFailed, NothingToDownload, NotMedia, TooLarge, TooLong
from app.jobs.engines.confine import die_with_parent

_DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpc,mpc8,mpeg,mpegts,ogg,oma,tak,tta,w64,wav,wv"
)
# By default every core gets threads, and each reserves memory.
_ONE_THREAD = ("-threads", "1")
_CLOSED = ("-nostdin", "-protocol_whitelist", "file,pipe", *_ONE_THREAD)
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE)
_STREAM = re.compile(r"^ {2,4}Stream #0:\d+[^\n]*?: (Audio|Video|Subtitle|Data)", re.MULTILINE)
_TAG = r"(?im)^ +{}\s*: (\S.*)$"
# What the ffmetadata format gives a meaning to; a title has no line ends any more.
_SPECIAL, _ESCAPED = re.compile(r"([=;#\\])"), r"\\\1"
_OUT_TIME = re.compile(rb"out_time_us=(\d+)")

_ROOM_FOR_TAGS = 64 * 1024
_END_SLACK_S = 0.5
"""Encoders pad: a result this much over the limit is still within it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What ffmpeg sees in a file. `duration_s` is what the file claims, or None."""

    duration_s: float | None
    title: str | None
    performer: str | None


@dataclass(frozen=True, slots=True)
class Mp3:
    """What to make: `bitrate` in kbit/s, the limits in bytes and seconds, the tags."""

    path: Path
    bitrate: int
    max_bytes: int
    max_duration_s: float
    title: str
    performer: str | None


def probe(ffmpeg: str, path: Path) -> Source:
    """Look into a file without decoding it all.

    Raises NotMedia where ffmpeg knows no format in it, NothingToDownload for a film without sound.
    """
    command = [ffmpeg, "-hide_banner", *_CLOSED, "-format_whitelist", _DEMUXERS, "-i", str(path)]
    done = subprocess.run(  # noqa: S603  # the program is the operator's, the file name is fixed
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    return read_probe(done.stderr.decode(errors="replace"))


def read_probe(report: str) -> Source:
    """Read ffmpeg's description of its input; there is no ffprobe in the wheel. Raises as `probe` does."""
    streams = set(_STREAM.findall(report))
    if not streams:
        raise NotMedia
    if "Audio" not in streams:
        raise NothingToDownload
    clock = _DURATION.search(report)
    duration = int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3]) if clock else None
    title, artist = (re.search(_TAG.format(tag), report) for tag in ("title", "artist"))
    return Source(duration, title[1] if title else None, artist[1] if artist else None)


def check_size(duration_s: float | None, mp3: Mp3) -> None:
    """Raise TooLong or TooLarge where the claimed duration already says so, before any work."""
    if duration_s is None:
        return
    if duration_s > mp3.max_duration_s + _END_SLACK_S:
        raise TooLong
    if duration_s * mp3.bitrate * 125 > mp3.max_bytes:
        raise TooLarge


def to_mp3(ffmpeg: str, source: Path, mp3: Mp3, on_seconds: Callable[[float], None]) -> float:
    """Convert, and give the result's duration in seconds as it was made, whatever the source claimed.

    Raises NotMedia where the content cannot be decoded, TooLarge and TooLong where a limit was met on the way.
    """
    tags = mp3.path.with_suffix(".tags")
    tags.write_text(_tag_file(mp3), encoding="utf-8")
    seconds = 0.0
    with subprocess.Popen(  # noqa: S603  # the program is the operator's, the file names are fixed
        _command(ffmpeg, source, tags, mp3),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(die_with_parent, os.getpid()),
    ) as process:
        for seconds in _seconds(process):
            on_seconds(seconds)
    tags.unlink()
    _check_result(process.returncode, seconds, mp3)
    return seconds


def _seconds(process: subprocess.Popen[bytes]) -> Iterator[float]:
    for line in process.stdout or ():
        if found := _OUT_TIME.match(line):
            yield int(found[1]) / 1_000_000


def _check_result(code: int, seconds: float, mp3: Mp3) -> None:
    if seconds > mp3.max_duration_s + _END_SLACK_S:
        raise TooLong
    size = mp3.path.stat().st_size if mp3.path.exists() else 0
    if size > mp3.max_bytes or code == -signal.SIGXFSZ:
        raise TooLarge
    if code < 0:
        raise EngineFailed(f"ffmpeg ended by signal {-code}")
    if code != 0 or size == 0 or seconds <= 0:
        raise NotMedia


def _command(ffmpeg: str, source: Path, tags: Path, mp3: Mp3) -> list[str]:
    return [
        *(ffmpeg, "-hide_banner", "-loglevel", "quiet", "-nostats", "-progress", "pipe:1", "-y"),
        *(*_CLOSED, "-format_whitelist", _DEMUXERS, "-i", str(source)),
        *(*_CLOSED, "-f", "ffmetadata", "-i", str(tags)),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "1", "-map_chapters", "-1"),
        *("-map_metadata:s:a", "-1", "-c:a", "libmp3lame", "-b:a", f"{mp3.bitrate}k", "-ac", "2"),
        *("-filter_threads", "1", *_ONE_THREAD),
        # One step over each limit, so that meeting it can be told from ending just below it.
        *("-t", str(mp3.max_duration_s + 2 * _END_SLACK_S), "-fs", str(mp3.max_bytes + _ROOM_FOR_TAGS)),
        *("-f", "mp3", str(mp3.path)),
    ]


def _tag_file(mp3: Mp3) -> str:
    """Give the tags as a file: a command line can be read by everyone on the machine."""
    tags = {"title": mp3.title, "artist": mp3.performer}
    lines = (f"{name}={_SPECIAL.sub(_ESCAPED, value)}" for name, value in tags.items() if value)
    return "\n".join((";FFMETADATA1", *lines, ""))
