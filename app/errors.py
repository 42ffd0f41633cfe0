"""The whole error tree, and the one list of reasons that an update or a job can end for.

    AppError                    the message defaults to the class docstring
    ├── ConfigError             at start, never later; lists every problem at once
    ├── NotAnUpdate             the bytes at the webhook are not Telegram's; answered with 400
    ├── InboxFull               too many updates wait; answered with 429
    ├── InboxUnavailable        the database does not take updates; answered with 503
    ├── DeadlinePassed          a handler took too long and was stopped
    ├── Superseded              another instance processes the update by now; everything is rolled back
    └── JobError                a job ends here; `reason` for machines, `text_key` for the sentence to the user
        ├── LinkNotAllowed      ├── LinkUnreachable     ├── NothingToDownload
        ├── NotMedia            ├── TooLarge            ├── TooLong
        ├── TookTooLong         ├── DeliveryRefused
        └── EngineFailed        └── DeliveryFailed      (these two are worth another try: `retry`)

Texts for people live in `app/bot/locales`, never in an exception: an exception's text may be logged, and must
therefore hold no link, name or prompt.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why an update, press or job ended as it did. Outcomes (`success`, `rejected`, `error`) are another word."""

    SUCCESS = "SUCCESS"
    NOOP = "NOOP"
    PASSIVE_REJECT = "PASSIVE_REJECT"
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    UNKNOWN_CALLBACK = "UNKNOWN_CALLBACK"
    STATE_MISMATCH = "STATE_MISMATCH"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    BALANCE_INSUFFICIENT = "BALANCE_INSUFFICIENT"
    MODEL_DISABLED = "MODEL_DISABLED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    RATE_LIMIT = "RATE_LIMIT"
    DUPLICATE_UPDATE = "DUPLICATE_UPDATE"
    DOWNSTREAM_TIMEOUT = "DOWNSTREAM_TIMEOUT"
    DOWNSTREAM_ERROR = "DOWNSTREAM_ERROR"
    DB_ERROR = "DB_ERROR"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class AppError(Exception):
    """Something in Tracegram went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class ConfigError(AppError):
    """The settings are wrong; the message lists every problem and how to mend it."""


class NotAnUpdate(AppError):
    """The body is not a JSON object with an update_id."""


class InboxFull(AppError):
    """Too many updates wait already."""


class InboxUnavailable(AppError):
    """The update could not be stored."""


class DeadlinePassed(AppError):
    """The handler took longer than an update may take."""


class Superseded(AppError):
    """Another instance processes this update by now."""


class JobError(AppError):
    """A job could not give its result."""

    reason: ClassVar[Reason] = Reason.INTERNAL_ERROR
    text_key: ClassVar[str] = "job_failed"
    retry: ClassVar[bool] = False


class LinkNotAllowed(JobError):
    """The link leads, at once or by a redirect, to an address that is not on the public internet."""

    reason = Reason.VALIDATION_FAILED
    text_key = "link_not_allowed"


class LinkUnreachable(JobError):
    """The link's server does not answer, or has no such page."""

    reason = Reason.DOWNSTREAM_ERROR
    text_key = "link_unreachable"


class NothingToDownload(JobError):
    """There is no audio or video behind the link."""

    reason = Reason.VALIDATION_FAILED
    text_key = "nothing_to_download"


class NotMedia(JobError):
    """The file calls itself audio or video but is not."""

    reason = Reason.VALIDATION_FAILED
    text_key = "not_media"


class TooLarge(JobError):
    """The file, or the result, is over the size limit."""

    reason = Reason.VALIDATION_FAILED
    text_key = "too_large"


class TooLong(JobError):
    """The audio or video lasts longer than the limit."""

    reason = Reason.VALIDATION_FAILED
    text_key = "too_long"


class TookTooLong(JobError):
    """The job was stopped at its deadline."""

    reason = Reason.DOWNSTREAM_TIMEOUT
    text_key = "took_too_long"


class EngineFailed(JobError):
    """The engine ended without a result and without saying why."""

    reason = Reason.INTERNAL_ERROR
    text_key = "job_failed"
    retry = True


class DeliveryRefused(JobError):
    """The chat does not take the result: the user has blocked the bot, or the chat is gone."""

    reason = Reason.DOWNSTREAM_ERROR
    text_key = "job_failed"


class DeliveryFailed(JobError):
    """The result could not be handed over for now."""

    reason = Reason.DOWNSTREAM_ERROR
    text_key = "job_failed"
    retry = True
