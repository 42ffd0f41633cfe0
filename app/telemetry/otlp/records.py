"""Log records as the bytes of an `ExportLogsServiceRequest`. Secrets are masked here.

Field numbers: opentelemetry-proto, `logs/v1/logs.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.sdk.resources import Resource

from app.telemetry.entry import Entry
from app.telemetry.logs import SEVERITY
from app.telemetry.otlp.spans import encoded_resource, encoded_schema
from app.telemetry.otlp.wire import Pairs, encoded, sized, varint

_INFO = 9
_SCOPE = sized(b"\x0a", sized(b"\x0a", b"tracegram"))
_REMEMBERED = 1024


class RecordEncoder:
    """Encodes the log records of one resource. Use it from one thread at a time."""

    def __init__(self, resource: Resource, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._attributes = Pairs(b"\x32", scrub)
        self._events: dict[tuple[str, int, str], bytes] = {}
        self._loggers: dict[str, bytes] = {}
        self._resource = encoded_resource(resource, scrub)
        self._schema = encoded_schema(b"\x1a", resource.schema_url)

    def __call__(self, entries: Sequence[Entry]) -> bytes:
        """Encode a batch."""
        records = [sized(b"\x12", self._record(entry)) for entry in entries]
        scope = sized(b"\x12", b"".join([_SCOPE, *records]))
        return sized(b"\x0a", b"".join([self._resource, scope, self._schema]))

    def _record(self, entry: Entry) -> bytes:
        at = entry.at_ns.to_bytes(8, "little")
        fields = [
            b"\x09%b\x59%b" % (at, at),
            self._event(entry) if entry.event_name else self._said(entry.level, entry.level_name, entry.body),
            self._loggers.get(entry.logger) or self._logger(entry.logger),
        ]
        self._attributes.add(entry.fields, fields)
        context = entry.context
        if context.is_valid:
            fields.append(
                b"\x45%b\x4a\x10%b\x52\x08%b"
                % (
                    int(context.trace_flags).to_bytes(4, "little"),
                    context.trace_id.to_bytes(16, "big"),
                    context.span_id.to_bytes(8, "big"),
                )
            )
        return b"".join(fields)

    def _event(self, entry: Entry) -> bytes:
        """Name, body and level of an event, which are the same each time."""
        key = entry.event_name, entry.level, entry.body
        said = self._events.get(key)
        if said is None:
            if len(self._events) >= _REMEMBERED:
                self._events.clear()
            said = self._said(entry.level, entry.level_name, entry.body)
            said = self._events[key] = said + sized(b"\x62", encoded(entry.event_name))
        return said

    def _logger(self, name: str) -> bytes:
        if len(self._loggers) >= _REMEMBERED:
            self._loggers.clear()
        field = self._loggers[name] = self._attributes.encode({"logger": name})
        return field

    def _said(self, level: int, level_name: str, body: str) -> bytes:
        severity = b"\x10" + varint(SEVERITY.get(level, _INFO)) + sized(b"\x1a", encoded(level_name))
        return severity + sized(b"\x2a", sized(b"\x0a", encoded(self._scrub(body))))
