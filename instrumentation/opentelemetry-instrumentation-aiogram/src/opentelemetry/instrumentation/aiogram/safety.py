"""Keeps errors of the telemetry away from the bot: swallowed and reported once per kind, raised again in tests.

Only code of this package and the user's hooks run under the guard, never the bot's own code, whose exceptions pass
untouched.
"""

import logging
import os
from collections.abc import Callable

from opentelemetry.instrumentation.aiogram.semconv import qualified_name

_logger = logging.getLogger(__name__)
_reported: set[tuple[str, str]] = set()
_raise_errors: bool | None = None


def raise_telemetry_errors(wanted: bool | None) -> None:
    """Raise (True) or swallow (False) errors of the telemetry; None raises them only under pytest."""
    global _raise_errors
    _raise_errors = wanted


def swallow(place: str, error: Exception) -> None:
    """Called where an error of the telemetry was caught. Raises it again if that is wanted."""
    if _must_raise():
        raise error
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


def call_hook(place: str, hook: Callable[..., None], *args: object) -> None:
    """Call a hook of the user's; its failure is one of the telemetry."""
    try:
        hook(*args)
    except Exception as error:
        swallow(place, error)


def _must_raise() -> bool:
    return "PYTEST_VERSION" in os.environ if _raise_errors is None else _raise_errors


def _innermost_line(error: Exception) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown"
    return f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}"
