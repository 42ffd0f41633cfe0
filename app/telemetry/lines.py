"""A log record as a line of JSON, put together from parts that are made once: an event's fields are much the same."""

from __future__ import annotations

import json
import math
import time
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from opentelemetry.trace import format_span_id

from app.telemetry.entry import Entry
from app.telemetry.recorder import hexadecimal
from app.telemetry.redaction import Scrubber

#: Texts that are remembered, and the longest of them: see `otlp.wire.Pairs`, which does the same.
_REMEMBERED, _SHORT = 4096, 256

_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Lines:
    """Writes lines. Every text passes the scrubber. Use it from one thread at a time, as `logging` does."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._heads: dict[tuple[str, str, str], str] = {}
        self._fields: dict[tuple[str, str], str] = {}
        self._keys: dict[str, str] = {}

    def __call__(self, entry: Entry) -> str:
        """One line with its end."""
        at_ns, _, level, logger, body, fields, _, context = entry
        milliseconds = at_ns // 1_000_000
        head = self._heads.get((level, logger, body)) or self._head(level, logger, body)
        parts = [f'{{"ts": "{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"{head}']
        if context.is_valid:
            parts.append(_ids(context.trace_id, context.span_id))
        known, keys = self._fields, self._keys
        for key, value in fields.items():
            kind = type(value)
            if kind is str:
                parts.append(known.get((key, value)) or self._field(key, value))
            elif kind is int or (kind is float and math.isfinite(value)):
                parts.append(f"{keys.get(key) or self._key(key)}{value!r}")
            else:
                parts.append(self._key(key) + _encode(self._scrubber.attributes({"": value})[""]))
        parts.append("}\n")
        return "".join(parts)

    def _head(self, level: str, logger: str, body: str) -> str:
        text = (
            f', "level": {self._text(level)}, "logger": {self._text(logger)}, "message": {self._text(body)}'
        )
        if len(text) <= _SHORT:
            _make_room(self._heads)
            self._heads[level, logger, body] = text
        return text

    def _field(self, key: str, value: str) -> str:
        text = self._key(key) + self._text(value)
        if len(text) <= _SHORT:
            _make_room(self._fields)
            self._fields[key, value] = text
        return text

    def _key(self, key: str) -> str:
        text = self._keys.get(key)
        if text is None:
            _make_room(self._keys)
            text = self._keys[key] = f", {encode_basestring(key)}: "
        return text

    def _text(self, text: str) -> str:
        written: str = encode_basestring(self._scrubber.text(text))
        return written


def _make_room(remembered: dict[Any, str]) -> None:
    if len(remembered) >= _REMEMBERED:
        remembered.clear()


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=512)
def _ids(trace_id: int, span_id: int) -> str:
    cid = hexadecimal(trace_id)
    return f', "cid": "{cid}", "trace_id": "{cid}", "span_id": "{format_span_id(span_id)}"'
