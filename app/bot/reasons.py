"""Why an update failed: the reason code for an exception that came out of its handlers."""

from __future__ import annotations

from aiogram.exceptions import AiogramError, TelegramRetryAfter
from sqlalchemy.exc import SQLAlchemyError

from app.errors import DeadlinePassed, JobError, Reason, Superseded


def reason_of(error: Exception) -> Reason:
    """The reason; what nobody foresaw is a bug of ours."""
    match error:
        case JobError():
            return error.reason
        case SQLAlchemyError():
            return Reason.DB_ERROR
        case TimeoutError() | DeadlinePassed():
            return Reason.DOWNSTREAM_TIMEOUT
        case TelegramRetryAfter():
            return Reason.RATE_LIMIT
        case Superseded():
            return Reason.NOOP
        case AiogramError():
            # aiogram turns a timeout into an error of the network, and hides what it was.
            slow = isinstance(error.__context__, TimeoutError)
            return Reason.DOWNSTREAM_TIMEOUT if slow else Reason.DOWNSTREAM_ERROR
        case ConnectionError():
            return Reason.DOWNSTREAM_ERROR
        case _:
            return Reason.INTERNAL_ERROR
