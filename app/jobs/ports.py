"""What the worker, the engines and the delivery say to each other. No I/O here, and nothing of Telegram."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Stage = Literal["probing", "downloading", "converting", "uploading"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an engine has come. `fraction` is 0.0 to 1.0, or None while it cannot be known."""

    stage: Stage
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use. Sizes in bytes, times in seconds."""

    max_bytes: int = 50 * 1024 * 1024
    max_duration_s: float = 2 * 3600
    deadline_s: float = 300.0


@dataclass(frozen=True, slots=True)
class AudioRequest:
    """An mp3 of what is behind `url`. `bitrate` in kbit/s."""

    url: str
    bitrate: int = 192


@dataclass(frozen=True, slots=True)
class MediaResult:
    """A finished file inside the job's work folder; the folder goes when the job ends."""

    path: Path
    title: str
    performer: str | None
    duration_s: float | None
    size_bytes: int
    mime_type: str


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job. `attempt` counts from 1; together with `worker` it proves the claim (fencing).

    `waited_s` is how long it was due before, in seconds.
    """

    id: int
    worker: str
    attempt: int
    chat_id: int
    reply_to_message_id: int
    progress_message_id: int
    language: str
    request: AudioRequest
    traceparent: str
    created_by: str
    waited_s: float = field(default=0.0, compare=False)


OnProgress = Callable[[Progress], Awaitable[None]]


class Engine(Protocol):
    """Turns a request into a file.

    Raises a `JobError` with the reason when there is no result. Cancelling `run` ends everything that it started.
    """

    async def run(self, request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        """Do the work in `workdir`, an empty folder that the caller removes."""
        ...


class Deliver(Protocol):
    """How a job's news reach the user. Every method raises a `JobError` when the news do not arrive."""

    async def progress(self, job: Job, progress: Progress) -> None:
        """Show how far the job is. Losing one does no harm."""
        ...

    async def result(self, job: Job, result: MediaResult, cid: str) -> None:
        """Hand the file over."""
        ...

    async def done(self, job: Job) -> None:
        """Show that the job is finished. Losing it does no harm."""
        ...

    async def failure(self, job: Job, text_key: str, cid: str) -> None:
        """Tell in one sentence what went wrong, with the support code."""
        ...
