"""What is counted along a job's way, from the request to its end. There is one engine yet, one format and one priority."""

from __future__ import annotations

from app.errors import DeliveryFailed, DeliveryRefused, JobError, Reason
from app.jobs.ports import AudioRequest, Job
from app.telemetry.catalogue import (
    DOWNLOAD_DURATION,
    DOWNLOAD_FAILURE,
    DOWNLOAD_SUCCESS,
    ERRORS,
    FORMAT_REQUESTS,
    JOB_RETRIES,
    JOBS,
    QUEUE_WAIT,
)
from app.telemetry.instruments import count, record

ENGINE = "yt-dlp"
_FORMAT = "mp3"


def asked(request: AudioRequest) -> None:
    """Somebody wants it, and it is in the queue."""
    count(FORMAT_REQUESTS, format=_FORMAT, quality=_quality(request))


def taken(job: Job) -> None:
    """A worker has it."""
    record(QUEUE_WAIT, job.waited_s, priority="normal")


def done(job: Job, seconds: float) -> None:
    """The file is delivered."""
    record(DOWNLOAD_DURATION, seconds, format=_FORMAT, quality=_quality(job.request))
    count(DOWNLOAD_SUCCESS, format=_FORMAT, quality=_quality(job.request))
    count(JOBS, engine=ENGINE, outcome="done")


def failed(job: Job, seconds: float, error: Exception) -> None:
    """An attempt failed. A link that cannot be used is the person's affair, and no error of ours."""
    record(DOWNLOAD_DURATION, seconds, format=_FORMAT, quality=_quality(job.request))
    if isinstance(error, (DeliveryFailed, DeliveryRefused)):
        count(ERRORS, category="delivery")
    elif not isinstance(error, JobError):
        count(ERRORS, category="internal")
    elif error.reason is not Reason.VALIDATION_FAILED:
        count(ERRORS, category="download")


def put_back() -> None:
    """It will be tried again."""
    count(JOB_RETRIES, engine=ENGINE)


def given_up(reason: Reason) -> None:
    """It ends without a file."""
    count(DOWNLOAD_FAILURE, format=_FORMAT, error_type=reason)
    count(JOBS, engine=ENGINE, outcome="failed")


def _quality(request: AudioRequest) -> str:
    return f"{request.bitrate}k"
