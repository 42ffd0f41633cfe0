"""Declaring a metric: what would come out under another name than declared is refused at import."""

from __future__ import annotations

from typing import Any

import pytest

from app.telemetry import instruments
from app.telemetry.catalogue import UPDATE_LATENCY, UPTIME, Metric


def metric(**values: Any) -> Metric:
    return Metric(**{"name": "bot.thing", "kind": "counter", "unit": "{thing}", "help": "Things.", **values})


@pytest.mark.parametrize("unit", ["1", "", "ms", "seconds", "%"])
def test_a_unit_that_changes_the_name_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match=r"bot\.thing: the unit is one of"):
        metric(unit=unit)


def test_a_histogram_needs_buckets() -> None:
    with pytest.raises(ValueError, match=r"bot\.thing: a histogram has buckets"):
        metric(kind="histogram")


@pytest.mark.parametrize("kind", ["counter", "gauge"])
def test_nothing_else_has_buckets(kind: str) -> None:
    with pytest.raises(ValueError, match=r"bot\.thing: a histogram has buckets, nothing else does"):
        metric(kind=kind, buckets=(1.0,))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "bot_thing_total"),
        ({"kind": "gauge"}, "bot_thing"),
        ({"kind": "gauge", "unit": "s"}, "bot_thing_seconds"),
        ({"kind": "counter", "unit": "By"}, "bot_thing_bytes_total"),
        ({"kind": "histogram", "unit": "s", "buckets": (1.0,)}, "bot_thing_seconds"),
        ({"name": "bot.queue.wait.time", "kind": "gauge", "unit": "s"}, "bot_queue_wait_time_seconds"),
    ],
)
def test_the_prometheus_name(values: dict[str, Any], name: str) -> None:
    assert metric(**values).prometheus == name


def test_a_metric_that_is_not_in_the_catalogue_cannot_be_recorded() -> None:
    with pytest.raises(KeyError):
        instruments.count(metric())
    with pytest.raises(KeyError):
        instruments.record(metric(), 1)


def test_a_metric_is_recorded_as_its_own_kind_only() -> None:
    with pytest.raises(KeyError):
        instruments.count(UPDATE_LATENCY)
    with pytest.raises(KeyError):
        instruments.record(UPTIME, 1)
