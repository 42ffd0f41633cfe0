"""How much memory a span or an event takes, roughly: what bounds the recorder and the queues in bytes.

An estimate on the safe side, made once per span or event while it is young: it costs about two microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import getsizeof
from typing import Any

#: Bytes of a finished span of the SDK without its attributes, and of an event, as tracemalloc has them.
SPAN, EVENT = 4096, 1024
#: Bytes of a place in a dict.
_PLACE = 104
_FLAT = frozenset([str, int, float, bool, type(None)])


def weight(values: Mapping[str, Any]) -> int:
    """Bytes of attributes or fields. Their keys are the same strings in all spans, and count for nothing."""
    inside = values.values()
    if _FLAT.issuperset(map(type, inside)):
        return _PLACE * len(values) + sum(map(getsizeof, inside))
    return _PLACE * len(values) + sum(map(_deep, inside))


def _deep(value: Any) -> int:
    if isinstance(value, Mapping):
        return getsizeof(value) + weight(value) + sum(map(getsizeof, value))
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return getsizeof(value) + sum(map(_deep, value))
    return getsizeof(value)
