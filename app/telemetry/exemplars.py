"""The reader for `/metrics`: the OTel Prometheus exporter, with the exemplars that it leaves out put back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, Metric, MetricsData, Sum
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from app.telemetry.catalogue import CATALOGUE

_NAMES = {metric.name: metric.prometheus for metric in CATALOGUE}

#: A sample's name and labels. There are as many as series, which are bounded.
_Key = tuple[str, frozenset[tuple[str, str]]]


class ExemplarReader(PrometheusMetricReader):
    """The exporter's reader; what it collects comes out of `registry` with exemplars."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._exemplars: dict[_Key, Exemplar] = {}
        families = CollectorRegistry()
        super().__init__(scope_info_enabled=False, registry=families)
        registry.register(_WithExemplars(families, self._exemplars))

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        for resource in metrics_data.resource_metrics if metrics_data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._exemplars.update(_exemplars_of(metric))
        super()._receive_metrics(metrics_data, timeout_millis, **kwargs)


class _WithExemplars(Collector):
    """Passes families on with the exemplars of their samples. One collection at a time: the exporter keeps only one."""

    def __init__(self, families: CollectorRegistry, exemplars: dict[_Key, Exemplar]) -> None:
        self._families = families
        self._exemplars = exemplars
        self._one_by_one = Lock()

    def collect(self) -> Iterable[Family]:
        """Collect one scrape."""
        with self._one_by_one:
            families = [*self._families.collect()]
        for family in families:
            family.samples = [self._with_exemplar(sample) for sample in family.samples]
        return families

    def _with_exemplar(self, sample: Sample) -> Sample:
        exemplar = self._exemplars.get((sample.name, frozenset(sample.labels.items())))
        return sample if exemplar is None else sample._replace(exemplar=exemplar)


def _exemplars_of(metric: Metric) -> Iterator[tuple[_Key, Exemplar]]:
    name = _NAMES.get(metric.name)
    if name is None or not isinstance(metric.data, (Histogram, Sum)):
        return
    for point in metric.data.data_points:
        labels = {key: str(value) for key, value in (point.attributes or {}).items()}
        for found in point.exemplars or ():
            if isinstance(point, HistogramDataPoint):
                bounds = [*map(str, point.explicit_bounds), "+Inf"]
                bucket = bounds[bisect_left(point.explicit_bounds, found.value)]
                yield (f"{name}_bucket", frozenset({**labels, "le": bucket}.items())), _exemplar(found)
            else:
                yield (name, frozenset(labels.items())), _exemplar(found)


def _exemplar(found: SdkExemplar) -> Exemplar:
    # Together 63 characters: OpenMetrics allows 128.
    names = {
        "trace_id": format_trace_id(found.trace_id or 0),
        "span_id": format_span_id(found.span_id or 0),
    }
    return Exemplar(names, found.value, found.time_unix_nano / 1e9)
