"""The series of one instrument: numbers that grow, one set per set of labels, each with the traces behind it.

A set of labels is looked at once; what comes again finds its numbers by the labels as they were given. The number of
series is bounded: what comes after that is counted together, under the label that the specification names for it.

An exemplar is chosen while its span is open, and the span is marked, so that the Collector keeps the trace when it comes to
judge it. It stays for a while: a trace is kept for each exemplar, so with the newest of each bucket all would be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from time import time_ns
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.trace import get_current_span

#: opentelemetry.io/docs/specs/otel/metrics/sdk, "Cardinality limits".
_MOST = 2000
_REST: Mapping[str, Any] = {"otel.metric.overflow": True}
_TEXT = frozenset([str])

#: The attribute by which `otel/collector.yaml` tells the traces that exemplars name.
EXEMPLAR = "tracegram.exemplar"
#: For so long an exemplar stays.
_HELD_NS = 60 * 1_000_000_000


class Numbers:
    """One series of a counter or gauge."""

    __slots__ = ("_seen", "attributes", "since_ns", "value")

    def __init__(self, attributes: Mapping[str, Any], since_ns: int, _bounds: Sequence[float]) -> None:
        self.attributes = attributes
        self.since_ns = since_ns
        self.value: float = 0
        self._seen: Exemplar | None = None

    def add(self, value: float, context: Context | None) -> None:
        """Let the series grow by so much."""
        self.value += value
        seen = self._seen
        if seen is None or not 0 <= time_ns() - seen.time_unix_nano < _HELD_NS:
            self._seen = _exemplar(value, context) or seen

    def set(self, value: float) -> None:
        """Let the series stand at this value."""
        self.value = value

    def point(self, at_ns: int) -> NumberDataPoint:
        """What the series says now."""
        exemplars = [] if self._seen is None else [self._seen]
        return NumberDataPoint(self.attributes, self.since_ns, at_ns, self.value, exemplars)


class Buckets:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_least", "_most", "_seen", "_sum", "attributes", "since_ns")

    def __init__(self, attributes: Mapping[str, Any], since_ns: int, bounds: Sequence[float]) -> None:
        self.attributes = attributes
        self.since_ns = since_ns
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._seen: list[Exemplar | None] = [None] * (len(bounds) + 1)
        self._sum: float = 0
        self._least, self._most = float("inf"), float("-inf")

    def add(self, value: float, context: Context | None) -> None:
        """Record one value."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] += 1
        seen = self._seen[bucket]
        if seen is None or not 0 <= time_ns() - seen.time_unix_nano < _HELD_NS:
            self._seen[bucket] = _exemplar(value, context) or seen
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
            [seen for seen in self._seen if seen is not None],
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
            series.add(value, context)

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


def _exemplar(value: float, context: Context | None) -> Exemplar | None:
    """Where a value is recorded, if that is in an open span, which is marked: else nobody could keep its trace."""
    span = get_current_span(context)
    if not span.is_recording():
        return None
    span.set_attribute(EXEMPLAR, True)
    ids = span.get_span_context()
    return Exemplar({}, value, time_ns(), ids.span_id, ids.trace_id)
