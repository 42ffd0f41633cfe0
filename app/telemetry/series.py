"""The series of one instrument: numbers that grow, one set per set of labels, each with the traces behind it.

A set of labels is looked at once; what comes again finds its numbers by the labels as they were given. The number of
series is bounded: what comes after that is counted together, under the label that the specification names for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from time import time_ns
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.trace import get_current_span

#: opentelemetry.io/docs/specs/otel/metrics/sdk, "Cardinality limits".
_MOST = 2000
_REST: Mapping[str, Any] = {"otel.metric.overflow": True}
_TEXT = frozenset([str])

#: When a value was recorded, which, and where: what it takes to name the trace, should anybody ask.
_Seen = tuple[int, float, Context]


class Numbers:
    """One series of a counter or gauge."""

    __slots__ = ("_seen", "attributes", "since_ns", "value")

    def __init__(self, attributes: Mapping[str, Any], since_ns: int, _bounds: Sequence[float]) -> None:
        self.attributes = attributes
        self.since_ns = since_ns
        self.value: float = 0
        self._seen: _Seen | None = None

    def add(self, value: float, context: Context) -> None:
        """Let the series grow by so much."""
        self.value += value
        self._seen = (time_ns(), value, context)

    def set(self, value: float) -> None:
        """Let the series stand at this value."""
        self.value = value

    def point(self, at_ns: int) -> NumberDataPoint:
        """What the series says now."""
        return NumberDataPoint(self.attributes, self.since_ns, at_ns, self.value, _exemplars([self._seen]))


class Buckets:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_least", "_most", "_seen", "_sum", "attributes", "since_ns")

    def __init__(self, attributes: Mapping[str, Any], since_ns: int, bounds: Sequence[float]) -> None:
        self.attributes = attributes
        self.since_ns = since_ns
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._seen: list[_Seen | None] = [None] * (len(bounds) + 1)
        self._sum: float = 0
        self._least, self._most = float("inf"), float("-inf")

    def add(self, value: float, context: Context) -> None:
        """Record one value."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        self._seen[bucket] = (time_ns(), value, context)
        self._sum += value
        if value < self._least:
            self._least = value
        if value > self._most:
            self._most = value

    def point(self, at_ns: int) -> HistogramDataPoint:
        """What the series says now."""
        return HistogramDataPoint(
            self.attributes,
            self.since_ns,
            at_ns,
            sum(self._counts),
            self._sum,
            [*self._counts],
            self._bounds,
            self._least,
            self._most,
            _exemplars(self._seen),
        )


class Series:
    """All series of one instrument. `labels` are those that it may have; None lets all through."""

    def __init__(
        self,
        kind: type[Numbers | Buckets],
        labels: Collection[str] | None = None,
        bounds: Sequence[float] = (),
    ) -> None:
        self._kind = kind
        self._labels = labels
        self._bounds = bounds
        self._since_ns = time_ns()
        self._known: dict[
            Any, Any
        ] = {}  # by labels as they were given, which may be in any order and too many
        self._all: dict[Any, Any] = {}  # by labels as they come out
        self._lock = Lock()

    def add(self, value: float, attributes: Mapping[str, Any] | None, context: Context | None) -> None:
        """Add or record one value."""
        series = self._of(attributes or {})
        with self._lock:
            series.add(value, get_current() if context is None else context)

    def set(self, value: float, attributes: Mapping[str, Any] | None) -> None:
        """Let one series stand at a value."""
        self._of(attributes or {}).set(value)

    def points(self) -> list[Any]:
        """A point per series."""
        at_ns = time_ns()
        with self._lock:
            return [series.point(at_ns) for series in self._all.values()]

    def forget(self) -> None:
        """Begin anew: what is observed is only there while somebody says so."""
        with self._lock:
            self._known.clear()
            self._all.clear()

    def _of(self, attributes: Mapping[str, Any]) -> Any:
        if _TEXT.issuperset(map(type, attributes.values())):
            key: Any = tuple(attributes.items())
        else:  # 1, 1.0 and True are equal, and not the same; a list cannot be a key
            key = tuple((name, type(value), str(value)) for name, value in attributes.items())
        return self._known.get(key) or self._new(key, attributes)

    def _new(self, key: Any, attributes: Mapping[str, Any]) -> Any:
        kept = {k: v for k, v in attributes.items() if self._labels is None or k in self._labels}
        own: Any = frozenset((name, type(value), str(value)) for name, value in kept.items())
        with self._lock:
            if own not in self._all and len(self._all) >= _MOST:
                kept, own = dict(_REST), frozenset(_REST.items())
            series = self._all.get(own)
            if series is None:
                series = self._all[own] = self._kind(kept, self._since_ns, self._bounds)
            if len(self._known) >= 2 * _MOST:
                self._known.clear()
            self._known[key] = series
            return series


def _exemplars(seen: Sequence[_Seen | None]) -> list[Exemplar]:
    found = []
    for one in seen:
        if one is not None:
            at_ns, value, context = one
            span = get_current_span(context).get_span_context()
            if span.is_valid and span.trace_flags.sampled:
                found.append(Exemplar({}, value, at_ns, span.span_id, span.trace_id))
    return found
