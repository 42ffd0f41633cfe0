"""One log record as every sink takes it: not yet scrubbed, which each sink does on its way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.trace import SpanContext


class Entry(NamedTuple):
    """`at_ns` is nanoseconds since the epoch, `level` a level of `logging`, `event_name` empty but for events."""

    at_ns: int
    level: int
    level_name: str
    logger: str
    body: str
    fields: Mapping[str, Any]
    event_name: str
    context: SpanContext
