"""Every rule on the real promtool: what is committed is sound, and each alert fires and keeps silent when it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.alerts.groups import alerts, groups
from app.config.alerting import Alerting
from app.telemetry.catalogue import DB_POOL_WAIT, EVENT_LOOP_LAG, WEBHOOK_LATENCY
from tests.kit.repository import ROOT
from tests.stack.promtool import ALERTS, every_group, fired, promtool, recorded, run
from tests.stack.rule_cases import BOT, CASES, Case, bot, buckets, measured, updates

PROMETHEUS = ROOT / "deploy" / "prometheus"
#: Budgets are recorded over days, and have tests of their own.
WITHOUT_BUDGETS = [group for group in every_group() if group.name != "tracegram-slo"]
NAMES = list(dict.fromkeys(case.alert for case in CASES))


def test_the_committed_rules_are_sound() -> None:
    promtool("check", "rules", "--lint-fatal", PROMETHEUS / "rules" / "tracegram.yaml")


def test_the_configuration_is_sound() -> None:
    promtool("check", "config", "--lint-fatal", PROMETHEUS / "prometheus.yaml")


def _told(case: Case) -> dict[str, Any]:
    (alert,) = [alert for (name, _), alert in ALERTS.items() if name == case.alert]
    expected = [fired(alert, labels, summary) for labels, summary in case.fires]
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}],
    }


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_fires_and_keeps_silent(alert: str, tmp_path: Path) -> None:
    run(tmp_path, WITHOUT_BUDGETS, "15s", [_told(case) for case in CASES if case.alert == alert])


def test_shares_and_quantiles_are_recorded(tmp_path: Path) -> None:
    """What dashboards show: of ten updates one fails, of four downloads one, of 20 places 15 are used."""
    pool = {"used": 15, "idle": 3, "unopened": 2}
    series = {
        updates("handled"): "0+90x130",
        updates("error"): "0+10x130",
        bot("bot_download_success_total", format="mp3", quality="192k"): "0+3x130",
        bot("bot_download_failure_total", format="mp3", error_type="VALIDATION_FAILED"): "0+1x130",
        bot("bot_jobs_total", engine="yt-dlp", outcome="done"): "0+3x130",
        bot("bot_job_retries_total", engine="yt-dlp"): "0+1x130",
        bot("bot_queue_depth", priority="normal"): "7x130",
        bot("bot_queue_depth", "worker:9464", priority="normal"): "8x130",
        **{bot("bot_db_pool_connections", state=state): f"{n}x130" for state, n in pool.items()},
        **buckets(
            "bot_webhook_latency_seconds",
            "0+100x130",
            *(("0.1", "0+0x130"), ("0.3", "0+50x130"), ("0.8", "0+95x130"), ("2.0", "0+100x130")),
            outcome="stored",
        ),
        **buckets("bot_update_latency_seconds", "0+100x130", ("0.5", "0+90x130"), ("1.0", "0+100x130")),
        **buckets("bot_download_duration_seconds", "0+100x130", ("5.0", "0+90x130"), ("10.0", "0+100x130")),
    }
    expected = {
        "bot:available": 0,
        "bot:update_error_ratio:rate5m": 0.1,
        "bot:download_success_ratio:rate5m": 0.75,
        "bot:job_retry_ratio:increase15m": 0.25,
        "bot:queue_depth:max": 8,
        "bot:webhook_latency_seconds:p50": 0.3,
        "bot:webhook_latency_seconds:p95": 0.8,
        "bot:webhook_latency_seconds:p99": 1.76,
        "bot:update_latency_seconds:p95": 0.75,
        "bot:download_duration_seconds:p95": 7.5,
    }
    recorded(expected, WITHOUT_BUDGETS, series, {}, tmp_path)
    recorded({"bot:db_pool_usage:ratio": 0.75}, WITHOUT_BUDGETS, series, {"instance": BOT}, tmp_path)
    covered = {*expected, "bot:db_pool_usage:ratio"}
    assert {r.name for group in WITHOUT_BUDGETS for r in group.recordings} == covered


def test_the_highest_thresholds_of_quantiles_can_be_passed(tmp_path: Path) -> None:
    """What takes longer than the highest edge counts as that edge, which is still over the threshold."""
    most = {
        "alert_webhook_latency_threshold": 1.99,
        "alert_pool_wait_threshold": 29.9,
        "alert_loop_lag_threshold": 29.9,
    }
    thresholds = Alerting.model_validate(most)
    series = {
        **measured(WEBHOOK_LATENCY, {60.0: 100}, outcome="stored"),
        **measured(DB_POOL_WAIT, {60.0: 100}),
        **measured(EVENT_LOOP_LAG, {60.0: 100}),
    }
    here = {"instance": BOT}
    told: dict[str, tuple[dict[str, str], str]] = {
        "SlowWebhook": ({}, "95 of 100 webhook calls are answered within 2s only"),
        "DatabaseIssues": (here, f"The database does not serve {BOT} as it should"),
        "EventLoopLag": (here, f"The event loop of {BOT} is late by 30s"),
    }
    rules = {alert.name: alert for alert in alerts(thresholds)}
    moments = [
        {"eval_time": "10m", "alertname": name, "exp_alerts": [fired(rules[name], *about)]}
        for name, about in told.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    bots = [group for group in groups(thresholds) if group.name == "tracegram-bot"]
    run(tmp_path, bots, "15s", [{"interval": "15s", "input_series": inputs, "alert_rule_test": moments}])


def test_a_wrong_expectation_is_seen(tmp_path: Path) -> None:
    """The cases can fail: with what the silent ones expect, the firing ones do."""
    silent = [_told(Case(case.alert, case.series, [], case.at)) for case in CASES if case.fires][:1]
    with pytest.raises(AssertionError, match="FAILED"):
        run(tmp_path, WITHOUT_BUDGETS, "15s", silent)
