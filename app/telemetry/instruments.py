"""The instruments of the catalogue. Recording one that is not in it raises at import, not in production.

Instruments are made from the API's global meter: before `setup` they record into nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from math import prod

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

from app.telemetry.catalogue import CATALOGUE, Metric
from app.telemetry.labels import attributes

#: A number, or one for each value of the metric's label; None while it is not known.
Reading = float | Mapping[str, float] | None

#: Series of a counter that are worth their place while nothing has happened.
_FEW = 16

_meter = metrics.get_meter("tracegram")
_counters: dict[str, Counter] = {}
_histograms: dict[str, Histogram] = {}
_observers: dict[str, Callable[[], Reading]] = {}


def _observe(metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        observer = _observers.get(metric.name)
        reading = observer() if observer is not None else None
        if isinstance(reading, Mapping):
            (label,) = metric.labels
            return [Observation(n, attributes(metric, {label.key: value})) for value, n in reading.items()]
        return () if reading is None else (Observation(reading),)

    return callback


for _metric in CATALOGUE:
    if _metric.observed:
        _meter.create_observable_counter(_metric.name, [_observe(_metric)], _metric.unit, _metric.help)
    elif _metric.kind == "counter":
        _counters[_metric.name] = _meter.create_counter(_metric.name, _metric.unit, _metric.help)
    elif _metric.kind == "histogram":
        _histograms[_metric.name] = _meter.create_histogram(_metric.name, _metric.unit, _metric.help)
    else:
        _meter.create_observable_gauge(
            _metric.name, callbacks=[_observe(_metric)], unit=_metric.unit, description=_metric.help
        )


def begin_at_zero() -> None:
    """Let each counter with few declared series begin at 0: a query for its increase does not see a first value."""
    for metric in CATALOGUE:
        values = [label.values or () for label in metric.labels]
        if metric.name in _counters and 0 < prod(map(len, values)) <= _FEW:
            for labels in product(*values):
                told = dict(zip((label.key for label in metric.labels), labels, strict=True))
                _counters[metric.name].add(0, attributes(metric, told))


def count(metric: Metric, **labels: str) -> None:
    """Add one to a counter of the catalogue."""
    _counters[metric.name].add(1, attributes(metric, labels))


def add(metric: Metric, amount: float, **labels: str) -> None:
    """Add so many to a counter of the catalogue."""
    _counters[metric.name].add(amount, attributes(metric, labels))


def record(metric: Metric, value: float, **labels: str) -> None:
    """Record one value, in the metric's unit, in a histogram of the catalogue."""
    _histograms[metric.name].record(value, attributes(metric, labels))


def observe(metric: Metric, read: Callable[[], Reading]) -> None:
    """Let `read` give the value at each collection; a second call for the same metric replaces the first."""
    _observers[metric.name] = read
