"""What stands behind the metrics API: instruments whose recording costs little, collected into the SDK's own points.

The SDK's instruments clean, copy and hash the attributes of every recording, and ask for the current span twice; here
that is done once per set of labels, and when somebody collects. Everything else is as there: cumulative sums, explicit
buckets, an exemplar per bucket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from app.telemetry.catalogue import CATALOGUE, Metric
from app.telemetry.series import Buckets, Numbers, Series

_log = logging.getLogger(__name__)

#: Buckets of a histogram that nobody gave any: the specification's.
_BUCKETS = (
    0.0,
    5.0,
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2500.0,
    5000.0,
    7500.0,
    10000.0,
)
_CUMULATIVE = sdk.AggregationTemporality.CUMULATIVE

Attributes = Mapping[str, Any] | None
Observations = Iterable[api.Observation]
Callback = Callable[[CallbackOptions], Observations] | Generator[Observations, CallbackOptions, None]
Callbacks = Sequence[Callback] | None


class _Instrument:
    """One instrument: its name, its series, and how they are summed up."""

    monotonic = False
    kind: type[Numbers | Buckets] = Numbers

    def __init__(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        declared: Metric | None,
        bounds: Sequence[float] = (),
    ) -> None:
        self.name, self.unit, self.description = name, unit, description
        labels = None if declared is None else frozenset(label.key for label in declared.labels)
        self.series = Series(self.kind, labels, (declared and declared.buckets) or bounds)

    def collect(self) -> sdk.Metric | None:
        """What it says now, or None when it says nothing."""
        points = self.series.points()
        return sdk.Metric(self.name, self.description, self.unit, self._data(points)) if points else None

    def _data(self, points: list[Any]) -> Any:
        return sdk.Sum(points, _CUMULATIVE, self.monotonic)


class _Counter(_Instrument, api.Counter):
    monotonic = True

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        if amount < 0:
            _log.warning("%s is a counter and cannot shrink", self.name)
            return
        self.series.add(amount, attributes, context)


class _UpDownCounter(_Instrument, api.UpDownCounter):
    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        self.series.add(amount, attributes, context)


class _Histogram(_Instrument, api.Histogram):
    kind = Buckets

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        if amount < 0:
            _log.warning("%s is a histogram and takes no negative value", self.name)
            return
        self.series.add(amount, attributes, context)

    def _data(self, points: list[Any]) -> sdk.Histogram:
        return sdk.Histogram(points, _CUMULATIVE)


class _Gauge(_Instrument, api._Gauge):
    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        self.series.set(amount, attributes)

    def _data(self, points: list[Any]) -> sdk.Gauge:
        return sdk.Gauge(points)


class _Observed(_Instrument):
    """An instrument that asks for its values at each collection."""

    def __init__(self, *args: Any, callbacks: Callbacks = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._callbacks = [_asking(callback) for callback in callbacks or ()]

    def collect(self) -> sdk.Metric | None:
        """Ask, and tell."""
        self.series.forget()
        for callback in self._callbacks:
            try:
                for observation in callback(CallbackOptions()):
                    self.series.set(observation.value, observation.attributes)
            except Exception:  # one gauge that is broken takes no other with it
                _log.exception("%s could not be observed", self.name)
        return super().collect()


def _asking(callback: Callback) -> Callable[[CallbackOptions], Observations]:
    if isinstance(callback, Generator):
        next(callback)  # up to its first `yield`, which takes the options
        return callback.send
    return callback


class _ObservableCounter(_Observed, api.ObservableCounter):
    monotonic = True


class _ObservableUpDownCounter(_Observed, api.ObservableUpDownCounter):
    pass


class _ObservableGauge(_Observed, api.ObservableGauge):
    def _data(self, points: list[Any]) -> sdk.Gauge:
        return sdk.Gauge(points)


class _Meter(api.Meter):
    """Makes the instruments of one scope; the same name gives the same instrument."""

    def __init__(self, scope: InstrumentationScope, declared: Mapping[str, Metric]) -> None:
        super().__init__(scope.name, scope.version, scope.schema_url)
        self.scope = scope
        self._declared = declared
        self._instruments: dict[tuple[type, str], Any] = {}
        self._making = Lock()

    def _make(self, kind: type, name: str, unit: str, description: str, **options: Any) -> Any:
        with self._making:
            made = self._instruments.get((kind, name.lower()))
            if made is None:
                made = kind(name, unit, description, declared=self._declared.get(name), **options)
                self._instruments[kind, name.lower()] = made
            return made

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        counter: api.Counter = self._make(_Counter, name, unit, description)
        return counter

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        counter: api.UpDownCounter = self._make(_UpDownCounter, name, unit, description)
        return counter

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        bounds = explicit_bucket_boundaries_advisory or _BUCKETS
        histogram: api.Histogram = self._make(_Histogram, name, unit, description, bounds=tuple(bounds))
        return histogram

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> api._Gauge:
        gauge: api._Gauge = self._make(_Gauge, name, unit, description)
        return gauge

    def create_observable_counter(
        self, name: str, callbacks: Callbacks = None, unit: str = "", description: str = ""
    ) -> api.ObservableCounter:
        observed: api.ObservableCounter = self._make(
            _ObservableCounter, name, unit, description, callbacks=callbacks
        )
        return observed

    def create_observable_up_down_counter(
        self, name: str, callbacks: Callbacks = None, unit: str = "", description: str = ""
    ) -> api.ObservableUpDownCounter:
        observed: api.ObservableUpDownCounter = self._make(
            _ObservableUpDownCounter, name, unit, description, callbacks=callbacks
        )
        return observed

    def create_observable_gauge(
        self, name: str, callbacks: Callbacks = None, unit: str = "", description: str = ""
    ) -> api.ObservableGauge:
        observed: api.ObservableGauge = self._make(
            _ObservableGauge, name, unit, description, callbacks=callbacks
        )
        return observed

    def collect(self) -> list[sdk.Metric]:
        """What its instruments say now."""
        with self._making:
            instruments = [*self._instruments.values()]
        return [metric for made in instruments if (metric := made.collect()) is not None]


class Meters(api.MeterProvider):
    """The provider. A metric of the catalogue has the catalogue's labels and buckets, whoever records it.

    `silent` are scopes whose metrics go nowhere.
    """

    def __init__(
        self, resource: Resource, catalogue: Sequence[Metric] = CATALOGUE, silent: Collection[str] = ()
    ) -> None:
        self._resource = resource
        self._declared = {metric.name: metric for metric in catalogue}
        self._silent = silent
        self._meters: dict[InstrumentationScope, _Meter] = {}
        self._lock = Lock()
        self._collecting = Lock()

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        """The meter of one scope."""
        if name in self._silent:
            return api.NoOpMeter(name, version, schema_url)
        scope = InstrumentationScope(name, version, schema_url, attributes)
        with self._lock:
            if scope not in self._meters:
                self._meters[scope] = _Meter(scope, self._declared)
            return self._meters[scope]

    def collect(self) -> sdk.MetricsData | None:
        """Everything as it stands now, or None when nothing was recorded."""
        with self._lock:
            meters = [*self._meters.values()]
        with self._collecting:
            scopes = [
                sdk.ScopeMetrics(meter.scope, said, meter.scope.schema_url or "")
                for meter in meters
                if (said := meter.collect())
            ]
        if not scopes:
            return None
        return sdk.MetricsData([sdk.ResourceMetrics(self._resource, scopes, self._resource.schema_url)])

    def serve(self, reader: sdk.MetricReader) -> None:
        """Let a reader of the SDK collect from here."""

        def collect(_reader: sdk.MetricReader, timeout_millis: float = 0) -> sdk.MetricsData | None:
            return self.collect()

        reader._set_collect_callback(collect)  # type: ignore[arg-type]  # the SDK says it without its None
