"""Protobuf's wire format, and attributes in it. Pairs of a key and a text that come again are encoded and scrubbed once.

Field numbers are those of opentelemetry-proto 1.x (`common/v1/common.proto`); a tag is `number << 3 | wire type`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Pairs that are remembered. Ids fill the memory now and then; the pairs that matter are back after one encoding each.
_REMEMBERED = 4096
#: Longer texts are seldom the same twice, and would make the memory large.
_SHORT = 128

_SMALL = [bytes([number]) for number in range(128)]
_double = struct.Struct("<d").pack


def varint(number: int) -> bytes:
    """An unsigned number. Raises `ValueError` for one that does not fit 64 bits."""
    if 0 <= number < 128:
        return _SMALL[number]
    if not 0 <= number < 1 << 64:
        raise ValueError("not a number of 64 bits")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(tag: bytes, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return b"%b%b%b" % (tag, varint(len(content)), content)


def encoded(text: str) -> bytes:
    """Text as bytes. Half a surrogate pair, which UTF-8 has no place for, becomes a question mark."""
    return text.encode(errors="replace")


class Pairs:
    """Encodes attributes as repeated `KeyValue` fields of one tag. Every text passes `scrub` first."""

    def __init__(self, tag: bytes, scrub: Callable[[str], str]) -> None:
        self._tag = tag
        self._scrub = scrub
        self._known: dict[tuple[str, str], bytes] = {}
        self._keys: dict[str, bytes] = {}

    def add(self, attributes: Mapping[str, Any], into: list[bytes]) -> None:
        """Append the fields of these attributes. A number beyond 64 bits is left out, as OTLP has no place for it."""
        known = self._known
        for key, value in attributes.items():
            if type(value) is str:
                into.append(known.get((key, value)) or self._text(key, value))
            else:
                try:
                    into.append(self._pair(key, self._value(value)))
                except ValueError:
                    continue

    def encode(self, attributes: Mapping[str, Any]) -> bytes:
        """The fields of these attributes."""
        fields: list[bytes] = []
        self.add(attributes, fields)
        return b"".join(fields)

    def _text(self, key: str, value: str) -> bytes:
        pair = self._pair(key, sized(b"\x0a", encoded(self._scrub(value))))
        if len(value) <= _SHORT:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key, value] = pair
        return pair

    def _pair(self, key: str, value: bytes) -> bytes:
        name = self._keys.get(key)
        if name is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
            name = self._keys[key] = sized(b"\x0a", encoded(key))
        return sized(self._tag, b"%b\x12%b%b" % (name, varint(len(value)), value))

    def _value(self, value: Any) -> bytes:
        """The content of an `AnyValue`. What OTLP has no form for goes out as its text."""
        if value is None:
            return b""
        if isinstance(value, bool):  # before int, of which it is one
            return b"\x10\x01" if value else b"\x10\x00"
        if isinstance(value, str):
            return sized(b"\x0a", encoded(self._scrub(str(value))))
        if isinstance(value, int):
            return b"\x18" + _signed(value)
        if isinstance(value, float):
            return b"\x21" + _double(value)
        return self._composed(value)

    def _composed(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            # As bytes, nothing could look for a secret in them.
            return sized(b"\x0a", encoded(self._scrub(value.decode(errors="replace"))))
        if isinstance(value, Sequence):
            return sized(b"\x2a", b"".join(sized(b"\x0a", self._value(item)) for item in value))
        if isinstance(value, Mapping):
            inner = Pairs(b"\x0a", self._scrub)
            return sized(b"\x32", inner.encode({self._scrub(str(key)): item for key, item in value.items()}))
        return sized(b"\x0a", encoded(self._scrub(str(value))))


def _signed(number: int) -> bytes:
    """An `int64`: negative numbers in two's complement. Raises `ValueError` beyond 64 bits."""
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("not a number of 64 bits")
    return varint(number & (1 << 64) - 1)
