"""Keeps errors of the telemetry away from the bot: swallowed and reported once per kind, raised again in tests.

Only code of this package runs under the guard, never the bot's own, whose exceptions pass untouched.
"""

import functools
import logging
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from opentelemetry.instrumentation.aiogram.semconv import qualified_name

_P = ParamSpec("_P")
_R = TypeVar("_R")

_logger = logging.getLogger(__name__)
_reported: set[tuple[str, str]] = set()
_raise_errors: bool | None = None


def raise_telemetry_errors(wanted: bool | None) -> None:
    """Raise (True) or swallow (False) errors of the telemetry; None raises them only under pytest."""
    global _raise_errors
    _raise_errors = wanted


def guarded(function: Callable[_P, _R]) -> Callable[_P, _R | None]:
    """Decorate a function of this package so that it returns None where it would have raised."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if _must_raise():
                raise
            _report(function.__qualname__, error)
            return None

    return call


def _must_raise() -> bool:
    return "PYTEST_VERSION" in os.environ if _raise_errors is None else _raise_errors


def _report(place: str, error: Exception) -> None:
    kind = (place, qualified_name(type(error)))
    if kind in _reported:
        return
    _reported.add(kind)
    # The text of the error is left out: it may quote the message or the URL that the telemetry choked on.
    _logger.warning(
        "Telemetry of aiogram failed in %s with %s (line %s); the bot goes on, further ones are not reported",
        *kind,
        _innermost_line(error),
    )


def _innermost_line(error: Exception) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}"
