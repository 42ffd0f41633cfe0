"""Every metric of the catalogue comes out of `/metrics` and over OTLP under the one name that people know it by."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as OtlpMetric
from prometheus_client.openmetrics.exposition import generate_latest

from app.telemetry import instruments
from app.telemetry.catalogue import CATALOGUE, Label, Metric
from tests.kit.telemetry import Captured

#: The names that dashboards, alerts and documents are built on.
PROMISED = [
    "bot_update_latency_seconds",
    "bot_updates_total",
    "bot_update_errors_total",
    "bot_update_receive_lag_seconds",
    "bot_pending_updates",
    "bot_inbox_depth",
    "bot_duplicate_updates_total",
    "bot_active_users",
    "bot_daily_active_users",
    "bot_monthly_active_users",
    "bot_uptime_seconds",
    "bot_webhook_latency_seconds",
    "bot_handler_latency_seconds",
    "bot_command_usage_total",
    "bot_callbacks_total",
    "bot_api_request_duration_seconds",
    "bot_api_retry_after_seconds_total",
    "bot_api_throttle_wait_seconds",
    "bot_download_duration_seconds",
    "bot_download_success_total",
    "bot_download_failure_total",
    "bot_format_requests_total",
    "bot_queue_depth",
    "bot_queue_wait_time_seconds",
    "bot_queue_oldest_age_seconds",
    "bot_job_retries_total",
    "bot_jobs_total",
    "bot_errors_total",
    "bot_rate_limit_hits_total",
    "bot_leader_state",
    "bot_lock_heartbeat_age_seconds",
    "bot_lock_takeovers_total",
    "bot_lock_epoch",
    "bot_db_pool_connections",
    "bot_db_pool_wait_seconds",
    "bot_event_loop_lag_seconds",
    "process_cpu_time_seconds_total",
    "process_memory_usage_bytes",
    "process_open_file_descriptor_count",
    "process_thread_count",
]


@pytest.fixture
def told(telemetry: Captured, monkeypatch: pytest.MonkeyPatch) -> Captured:
    """One value of each metric of the catalogue, recorded as the bot does."""
    monkeypatch.setattr(instruments, "_observers", {})
    for metric in CATALOGUE:
        labels = {label.key: _value(label) for label in metric.labels}
        if metric.kind == "histogram":
            instruments.record(metric, 1, **labels)
        elif metric.kind == "counter" and not metric.observed:
            instruments.count(metric, **labels)
        else:
            instruments.observe(metric, _reading(metric))
    return telemetry


def _value(label: Label) -> str:
    return label.values[0] if label.values else "Something"


def _reading(metric: Metric) -> Callable[[], instruments.Reading]:
    return lambda: {_value(metric.labels[0]): 1.0} if metric.labels else 1.0


def test_every_promised_name_is_there_by_scrape(told: Captured) -> None:
    text = generate_latest(told.telemetry.registry).decode()  # type: ignore[no-untyped-call]
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    scraped = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()} - {"target"}
    assert scraped >= {*PROMISED}
    assert scraped == {metric.prometheus for metric in CATALOGUE}


def test_every_promised_name_is_there_over_otlp(told: Captured) -> None:
    data = told.reader.get_metrics_data()
    assert data is not None
    parts = encode_metrics(data).resource_metrics
    sent = [metric for part in parts for scope in part.scope_metrics for metric in scope.metrics]
    names = sorted(_translated(metric) for metric in sent)
    assert names == sorted(metric.prometheus for metric in CATALOGUE)
    assert {*names} >= {*PROMISED}


def _translated(metric: OtlpMetric) -> str:
    """The name that Prometheus gives it (prometheus/otlptranslator, UnderscoreEscapingWithSuffixes)."""
    words = re.split(r"[^a-zA-Z0-9]+", metric.name)
    unit = {"s": "seconds", "By": "bytes"}.get(metric.unit, "")
    if not unit:
        assert re.fullmatch(r"\{\w+\}", metric.unit), "another unit would become a part of the name"
    if unit and unit not in words:
        words.append(unit)
    if metric.WhichOneof("data") == "sum":
        assert metric.sum.is_monotonic
        words = [*(word for word in words if word != "total"), "total"]
    return "_".join(words)
