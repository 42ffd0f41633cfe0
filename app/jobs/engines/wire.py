"""What the engine and its child process say to each other: one order on stdin, JSON lines on stdout. The child
has handled a stranger's bytes, so what it says is checked here before anyone believes it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, get_args

from app import errors
from app.jobs.ports import Progress, Stage

RESULT_NAME = "audio.mp3"
"""The result's name in the work folder; fixed, so that no title or link ever becomes a path."""

MAX_TITLE_CHARS = 128
_UNTITLED = "audio"
_WHERE = re.compile(r"[\w.: ]{1,200}")
_ZERO_WIDTH_JOINER = "\u200d"  # holds emoji together; the other format characters can turn text around


@dataclass(frozen=True, slots=True)
class Order:
    """All that the child knows. Sizes in bytes, times in seconds, `bitrate` in kbit/s."""

    url: str
    bitrate: int
    max_bytes: int
    max_duration_s: float
    deadline_s: float
    ffmpeg: str
    allow_hosts: tuple[str, ...]
    parent_pid: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Order:
        fields: dict[str, Any] = json.loads(data)
        return cls(**{**fields, "allow_hosts": tuple(fields["allow_hosts"])})


@dataclass(frozen=True, slots=True)
class Finished:
    """The child made the file."""

    title: str
    performer: str | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The child says why there is no file. `where` names an exception and its line, never its text."""

    code: str
    where: str = ""

    def error(self) -> errors.JobError:
        """Give the exception to raise; a code that is not a JobError is an EngineFailed."""
        kind = getattr(errors, self.code, None)
        if not (isinstance(kind, type) and issubclass(kind, errors.JobError)) or kind is errors.EngineFailed:
            return errors.EngineFailed(f"the engine failed at {self.where}" if self.where else "")
        return kind()


Line = Progress | Finished | Failed


def encode_line(line: Line) -> str:
    """Give one line of JSON, without its line end."""
    return json.dumps({type(line).__name__: asdict(line)})


def decode_line(data: bytes) -> Line:
    """Raises ValueError for anything that `encode_line` cannot have made."""
    try:
        [(kind, fields)] = json.loads(data, parse_constant=lambda _: None).items()
        return _DECODERS[kind](fields)
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as broken:
        raise ValueError("not a line of the engine's child") from broken


def clean_title(raw: object) -> str:
    """Give a title of at most `MAX_TITLE_CHARS` characters on one line, without control characters."""
    kept = "".join(_visible(char) for char in str(raw or "")[: 16 * MAX_TITLE_CHARS])
    return " ".join(kept.split())[:MAX_TITLE_CHARS].strip() or _UNTITLED


def clean_performer(raw: object) -> str | None:
    """Give a performer's name in the form of a title, or None for no name."""
    return clean_title(raw) if isinstance(raw, str) and raw.strip() else None


def _visible(char: str) -> str:
    if char == _ZERO_WIDTH_JOINER or not unicodedata.category(char).startswith("C"):
        return char
    return " "


def _progress(fields: Any) -> Progress:
    stage, fraction = fields["stage"], fields["fraction"]
    if stage not in get_args(Stage):
        raise ValueError("unknown stage")
    return Progress(stage, None if fraction is None else min(max(float(fraction), 0.0), 1.0))


def _finished(fields: Any) -> Finished:
    duration = float(fields["duration_s"])
    if not 0 < duration < math.inf:
        raise ValueError("no duration")
    return Finished(clean_title(fields["title"]), clean_performer(fields["performer"]), duration)


def _failed(fields: Any) -> Failed:
    where = _WHERE.match(str(fields["where"]))
    return Failed(str(fields["code"]), where[0] if where else "")


_DECODERS: dict[str, Callable[[Any], Line]] = {
    "Progress": _progress,
    "Finished": _finished,
    "Failed": _failed,
}
