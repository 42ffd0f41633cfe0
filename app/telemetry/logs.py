"""Log records as JSON lines with trace and span id, and the same records to OTLP.

Private by construction: of our own loggers the message, the declared fields and, for an exception, its class and
stack without its text; of other libraries' loggers the message before its arguments are filled in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from opentelemetry import trace
from opentelemetry._logs import Logger, LogRecord, SeverityNumber

from app.errors import AppError
from app.telemetry.recorder import EventRecord
from app.telemetry.redaction import Scrubber

_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_NO_FIELDS: dict[str, Any] = {}


class TelemetryHandler(logging.Handler):
    """Formats a record once, writes it as a JSON line, and emits it as an OTel log record when there is a logger."""

    def __init__(self, scrubber: Scrubber, stream: TextIO | None = None) -> None:
        super().__init__()
        self._scrubber = scrubber
        self._stream = stream
        self.otlp: Logger | None = None
        self.on_event: Callable[[str, EventRecord], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write and export one record; a failure is reported on stderr, never raised."""
        try:
            body = self._scrubber.text(message_of(record))
            fields = self._scrubber.attributes(fields_of(record))
            self._write(record, body, fields)
            if self.on_event is not None and hasattr(record, "event_name"):
                context = trace.get_current_span().get_span_context()
                event = EventRecord(int(record.created * 1e9), body, fields)
                self.on_event(trace.format_trace_id(context.trace_id), event)
            # The exporter's own complaints stay on the terminal: sent to OTLP they would feed themselves.
            if self.otlp is not None and not record.name.startswith("opentelemetry"):
                self._export(self.otlp, record, body, fields)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on stderr that a record was lost; `logging` would print its arguments, which may be private."""
        kind = sys.exc_info()[0]
        sys.stderr.write(
            f"a log record of {record.name} was lost: {kind.__qualname__ if kind else 'unknown'}\n"
        )

    def _write(self, record: logging.LogRecord, body: str, fields: dict[str, Any]) -> None:
        line: dict[str, Any] = {
            "ts": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": body,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            cid = trace.format_trace_id(context.trace_id)
            line.update(cid=cid, trace_id=cid, span_id=trace.format_span_id(context.span_id))
        stream = self._stream or sys.stdout
        stream.write(json.dumps({**line, **fields}, ensure_ascii=False, default=str) + "\n")
        stream.flush()

    @staticmethod
    def _export(otlp: Logger, record: logging.LogRecord, body: str, fields: dict[str, Any]) -> None:
        otlp.emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                severity_text=record.levelname,
                severity_number=_SEVERITY.get(record.levelno, SeverityNumber.INFO),
                body=body,
                attributes={"logger": record.name, **fields},
                event_name=getattr(record, "event_name", None),
            )
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


def _timestamp(created: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created))
    return f"{whole}.{int(created % 1 * 1000):03d}Z"


def configure(
    level: str, scrubber: Scrubber, stream: TextIO | None = None
) -> tuple[TelemetryHandler, Callable[[], None]]:
    """Make the handler the only one of the root logger. Returns it, and a function that puts back what was there."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    handler = TelemetryHandler(scrubber, stream)
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    ours = logging.getLogger("app")
    ours.setLevel(level)

    def undo() -> None:
        root.handlers[:], level_before = before[0], before[1]
        root.setLevel(level_before)
        ours.setLevel(logging.NOTSET)

    return handler, undo


class Verbosity:
    """The level of our own loggers: the settings', or DEBUG for a while. A restart ends the while, too."""

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
