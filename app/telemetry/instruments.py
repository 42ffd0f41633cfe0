"""The instruments of the catalogue. Recording one that is not in it raises at import, not in production.

Instruments are made from the API's global meter: before `setup` they record into nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

from app.telemetry.catalogue import CATALOGUE, Metric

_meter = metrics.get_meter("tracegram")
_counters: dict[str, Counter] = {}
_histograms: dict[str, Histogram] = {}
_observers: dict[str, Callable[[], float]] = {}


def _observe(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        observer = _observers.get(name)
        return () if observer is None else (Observation(observer()),)

    return callback


for _metric in CATALOGUE:
    if _metric.kind == "counter":
        _counters[_metric.name] = _meter.create_counter(_metric.name, _metric.unit, _metric.help)
    elif _metric.kind == "histogram":
        _histograms[_metric.name] = _meter.create_histogram(_metric.name, _metric.unit, _metric.help)
    else:
        _meter.create_observable_gauge(
            _metric.name, callbacks=[_observe(_metric.name)], unit=_metric.unit, description=_metric.help
        )


def count(metric: Metric, **labels: str) -> None:
    """Add one to a counter of the catalogue."""
    _counters[metric.name].add(1, labels)


def record(metric: Metric, value: float, **labels: str) -> None:
    """Record one value, in the metric's unit, in a histogram of the catalogue."""
    _histograms[metric.name].record(value, labels)


def observe(metric: Metric, read: Callable[[], float]) -> None:
    """Let `read` give the value of a gauge at each collection; a second call for the same gauge replaces the first."""
    _observers[metric.name] = read
