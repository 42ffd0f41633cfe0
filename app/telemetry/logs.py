"""Log records as JSON lines with trace and span id, and the same records to OTLP.

Private by construction: of our own loggers the message, the declared fields and, for an exception, its class and
stack without its text; of other libraries' loggers the message before its arguments are filled in.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable
from sys import getsizeof
from threading import RLock
from types import TracebackType
from typing import Any, TextIO

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context, get_current
from opentelemetry.trace import SpanContext

from app.errors import AppError
from app.telemetry.entry import Entry
from app.telemetry.lines import Lines
from app.telemetry.redaction import Scrubber

#: Severity numbers of OpenTelemetry by level of `logging`.
SEVERITY = {logging.DEBUG: 5, logging.INFO: 9, logging.WARNING: 13, logging.ERROR: 17, logging.CRITICAL: 21}
#: Bytes of a record beside its texts.
_RECORD = 1024
_NO_FIELDS: dict[str, Any] = {}
#: What `logging` can be spared, by its manual ("Optimization").
_UNASKED = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")


class TelemetryHandler(logging.Handler):
    """Formats a record once, as a JSON line, and hands it to the sinks, which scrub it on their way out."""

    def __init__(self, scrubber: Scrubber, stream: TextIO | None = None) -> None:
        super().__init__()
        self._line = Lines(scrubber)
        self._scrubber = scrubber
        self._stream = stream
        self._one_by_one = RLock()  # what fails below may be logged in turn
        self._context = Context()
        self._current = trace.INVALID_SPAN_CONTEXT
        #: A logger of OpenTelemetry, for what no sink below serves.
        self.otlp: Logger | None = None
        #: Takes every record, of about so many bytes, but the exporters' own complaints, which would feed themselves.
        self.export: Callable[[Entry, int], None] | None = None
        #: Takes every event, wherever it goes besides.
        self.on_event: Callable[[Entry, int], None] | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        """One record at a time. This handler has no filters to ask."""
        with self._one_by_one:
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Write and export one record; a failure is reported on stderr, never raised."""
        try:
            entry = entry_of(record, self._span_context())
            line = self._line(entry)
            stream = self._stream or sys.stdout
            stream.write(line)
            stream.flush()
            # The line is as long as what it says: no better measure of the record comes for nothing.
            size = _RECORD + getsizeof(line)
            if self.on_event is not None and entry.event_name:
                self.on_event(entry, size)
            if not entry.logger.startswith("opentelemetry"):
                if self.export is not None:
                    self.export(entry, size)
                if self.otlp is not None:
                    emit(self.otlp, entry, self._scrubber)
        except Exception:
            self.handleError(record)

    def _span_context(self) -> SpanContext:
        """That of the current span. The records of one handler share a context, and a context never changes."""
        context = get_current()
        if context is not self._context:
            self._context, self._current = context, trace.get_current_span(context).get_span_context()
        return self._current

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr that a record was lost; `logging` would print its arguments, which may be private."""
        kind = sys.exc_info()[0]
        sys.stderr.write(
            f"a log record of {record.name} was lost: {kind.__qualname__ if kind else 'unknown'}\n"
        )


def emit(otlp: Logger, entry: Entry, scrubber: Scrubber) -> None:
    """Give one record to a logger of OpenTelemetry, scrubbed."""
    otlp.emit(
        LogRecord(
            timestamp=entry.at_ns,
            observed_timestamp=entry.at_ns,
            severity_text=entry.level_name,
            severity_number=SeverityNumber(SEVERITY.get(entry.level, SEVERITY[logging.INFO])),
            body=scrubber.text(entry.body),
            attributes={"logger": entry.logger, **scrubber.attributes(entry.fields)},
            event_name=entry.event_name or None,
        )
    )


def entry_of(record: logging.LogRecord, context: SpanContext) -> Entry:
    """A record as the sinks take it."""
    seconds = int(record.created)
    return Entry(
        seconds * 1_000_000_000 + int((record.created - seconds) * 1e9),
        record.levelno,
        record.levelname,
        record.name,
        message_of(record),
        fields_of(record),
        getattr(record, "event_name", ""),
        context,
    )


def message_of(record: logging.LogRecord) -> str:
    """What may be said of a record: ours in full; of another library the first line of its unfilled template."""
    if record.name == "app" or record.name.startswith("app."):
        return record.getMessage()
    return str(record.msg).split("\n", 1)[0]


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The declared fields of a record, and of its exception the class and the stack but not the text."""
    fields: dict[str, Any] = getattr(record, "fields", _NO_FIELDS)
    if not record.exc_info or record.exc_info[0] is None:
        return fields
    kind, error, stack = record.exc_info
    described = {**fields, "error.type": kind.__qualname__, "error.stack": _stack(stack)}
    if isinstance(error, AppError):
        described["error.message"] = str(error)
    return described


def _stack(stack: TracebackType | None) -> str:
    frames = traceback.extract_tb(stack)
    return "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)


def configure(
    level: str, scrubber: Scrubber, stream: TextIO | None = None
) -> tuple[TelemetryHandler, Callable[[], None]]:
    """Make the handler the only one of the root logger. Returns it, and a function that puts back what was there."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    # No line says in which thread or process it was written; `logging` would ask anew for each record.
    told = {name: getattr(logging, name) for name in _UNASKED if hasattr(logging, name)}
    vars(logging).update(dict.fromkeys(told, False))
    handler = TelemetryHandler(scrubber, stream)
    root.handlers[:] = [handler]
    # A library's warning may quote what it warns of (aiogram: a whole update); as a record its text stays inside.
    logging.captureWarnings(True)
    root.setLevel(logging.WARNING)
    ours = logging.getLogger("app")
    ours.setLevel(level)

    def undo() -> None:
        logging.captureWarnings(False)
        root.handlers[:], level_before = before[0], before[1]
        root.setLevel(level_before)
        ours.setLevel(logging.NOTSET)
        vars(logging).update(told)

    return handler, undo


class Verbosity:
    """The level of our own loggers in this process: the settings', or DEBUG for a while."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._back: asyncio.TimerHandle | None = None

    def debug_for(self, seconds: float) -> None:
        """Log at DEBUG for so long; calling it again starts the time anew."""
        if self._back is not None:
            self._back.cancel()
        logging.getLogger("app").setLevel(logging.DEBUG)
        self._back = asyncio.get_running_loop().call_later(seconds, self._revert)

    def _revert(self) -> None:
        logging.getLogger("app").setLevel(self._level)
        self._back = None
