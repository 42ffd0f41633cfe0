"""Why an update failed: each exception of the libraries has its reason code."""

from __future__ import annotations

import pytest
from aiogram.exceptions import ClientDecodeError, TelegramBadRequest, TelegramNetworkError, TelegramRetryAfter
from aiogram.methods import GetMe
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.bot.reasons import reason_of
from app.errors import LinkNotAllowed, Reason, Superseded, TookTooLong


def slow_telegram() -> TelegramNetworkError:
    """As aiogram's session raises it."""
    try:
        try:
            raise TimeoutError
        except TimeoutError:
            raise TelegramNetworkError(GetMe(), "Request timeout error") from None
    except TelegramNetworkError as error:
        return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LinkNotAllowed(), Reason.VALIDATION_FAILED),
        (TookTooLong(), Reason.DOWNSTREAM_TIMEOUT),
        (OperationalError("SELECT 1", {}, Exception()), Reason.DB_ERROR),
        (PoolTimeoutError(), Reason.DB_ERROR),
        (TimeoutError(), Reason.DOWNSTREAM_TIMEOUT),
        (slow_telegram(), Reason.DOWNSTREAM_TIMEOUT),
        (TelegramNetworkError(GetMe(), "refused"), Reason.DOWNSTREAM_ERROR),
        (TelegramBadRequest(GetMe(), "no"), Reason.DOWNSTREAM_ERROR),
        (TelegramRetryAfter(GetMe(), "slow down", 99), Reason.RATE_LIMIT),
        (Superseded(), Reason.NOOP),
        (ClientDecodeError("no JSON", ValueError(), "<html>"), Reason.DOWNSTREAM_ERROR),
        (ConnectionResetError(), Reason.DOWNSTREAM_ERROR),
        (KeyError("x"), Reason.INTERNAL_ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_reason_of_a_failure(error: Exception, reason: Reason) -> None:
    assert reason_of(error) is reason
