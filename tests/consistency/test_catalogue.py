"""The catalogue against what the exporter really emits: the names that the dashboards and documents rely on."""

from __future__ import annotations

import math
import re

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Observation
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family

from app.telemetry.catalogue import CATALOGUE, Label, Metric
from app.telemetry.meters import Meters

MOST_VALUES = 100
#: What a metric may never be split by: each has as many values as there are people, things or words.
UNBOUNDED = {"user", "user_id", "user_hash", "chat", "chat_id", "chat_hash", "cid", "trace_id", "url", "text"}


def _value(label: Label) -> str:
    return label.values[0] if label.values else "Something"


@pytest.fixture(scope="module")
def emitted() -> dict[str, Family]:
    """The families at /metrics after one value of each metric, each with one label more than it declares."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
    provider = Meters(Resource({}))
    provider.serve(reader)
    meter = provider.get_meter("test")
    for metric in CATALOGUE:
        labels = {label.key: _value(label) for label in metric.labels} | {"undeclared": "x"}
        if metric.kind == "counter":
            meter.create_counter(metric.name, metric.unit, metric.help).add(1, labels)
        elif metric.kind == "histogram":
            meter.create_histogram(metric.name, metric.unit, metric.help).record(1, labels)
        else:
            meter.create_observable_gauge(
                metric.name,
                [lambda _, seen=labels: [Observation(1, seen)]],  # type: ignore[misc]  # bound now
                metric.unit,
                metric.help,
            )
    return {family.name: family for family in registry.collect() if family.name != "target"}


def _family(emitted: dict[str, Family], metric: Metric) -> Family:
    # prometheus_client keeps the name of a counter without what it adds when it writes it out.
    return emitted[
        metric.prometheus.removesuffix("_total") if metric.kind == "counter" else metric.prometheus
    ]


def test_nothing_else_comes_out(emitted: dict[str, Family]) -> None:
    assert len(emitted) == len(CATALOGUE)


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_the_exporter_emits_what_the_catalogue_declares(metric: Metric, emitted: dict[str, Family]) -> None:
    family = _family(emitted, metric)
    assert (family.type, family.documentation) == (metric.kind, metric.help)
    suffixes = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}
    base = metric.prometheus.removesuffix("_total")
    assert {s.name for s in family.samples} == {base + suffix for suffix in suffixes[metric.kind]}
    expected = {label.key: _value(label) for label in metric.labels}
    for sample in family.samples:
        assert {k: v for k, v in sample.labels.items() if k != "le"} == expected
    edges = [s.labels["le"] for s in family.samples if s.name.endswith("_bucket")]
    assert [float(edge) for edge in edges] == [*(metric.buckets or ()), *([float("inf")] if edges else [])]


def test_names_are_unique() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)
    assert len({metric.prometheus for metric in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_metric_is_well_declared(metric: Metric) -> None:
    # Those of the process and the SDK have the names of OpenTelemetry's conventions; there a word may have underscores.
    assert re.fullmatch(r"bot(\.[a-z]+)+|process(\.[a-z_]+)+|otel\.sdk(\.[a-z]+)+", metric.name)
    assert metric.help.endswith(".")
    assert len({label.key for label in metric.labels}) == len(metric.labels)
    if metric.buckets is not None:
        assert list(metric.buckets) == sorted(set(metric.buckets))
    for label in metric.labels:
        assert re.fullmatch(r"[a-z_]+", label.key)
        assert label.key not in UNBOUNDED
        if label.values is None:
            assert 0 < label.limit <= MOST_VALUES
        else:
            assert 0 < len(label.values) == len(set(label.values)) <= MOST_VALUES


def _series(metric: Metric) -> int:
    """As many as there can be, with a bucket each, the sum and the count."""
    labels = math.prod(
        (label.limit if label.values is None else len(label.values)) + 1 for label in metric.labels
    )
    return labels * (len(metric.buckets) + 3 if metric.buckets else 1)


def test_the_series_stay_within_the_budget() -> None:
    """Whatever anybody sends: this is what a Prometheus has to hold for one process, at the very worst."""
    worst = {metric.name: _series(metric) for metric in CATALOGUE}
    assert max(worst.values()) <= 12_000
    assert sum(worst.values()) <= 20_000
