"""The alerts against the catalogue of metrics: names, labels and values that a query uses, and what an alert must have."""

from __future__ import annotations

import re

import pytest
from annotated_types import Le, Lt

from app.alerts.groups import alerts, groups
from app.alerts.rules import Alert
from app.config.alerting import DEFAULTS, Alerting
from app.telemetry.catalogue import CATALOGUE
from tests.kit.promql import selectors, strangers
from tests.stack.rule_cases import CASES
from tests.stack.slo_cases import INCIDENTS

ALERTS = alerts(DEFAULTS)
EXPRESSIONS = {
    **{f"record {r.name} {dict(r.labels)}": r.expr for group in groups(DEFAULTS) for r in group.recordings},
    **{f"alert {alert.name} {alert.severity}": alert.expr for alert in ALERTS},
}
RECORDED = {recording.name for group in groups(DEFAULTS) for recording in group.recordings}


@pytest.mark.parametrize("rule", EXPRESSIONS)
def test_a_query_names_what_the_catalogue_declares(rule: str) -> None:
    assert strangers(EXPRESSIONS[rule], CATALOGUE, RECORDED) == []


def test_what_a_query_names_is_judged() -> None:
    """A query with a wrong name, label, value or edge, or without its job, is told with all that is wrong."""
    wrong = (
        'bot_nothing_total{job="tracegram"} + bot_updates_total{job="tracegram",colour="red",outcome="odd"}'
        ' + bot_inbox_depth + bot_webhook_latency_seconds_bucket{job="tracegram",le="0.5"}'
        ' + bot_jobs{job="tracegram"} + bot:nothing + bot_errors_total{job="tracegram",category=~"odd|database"}'
    )
    assert strangers(wrong, CATALOGUE, RECORDED) == [
        "bot_nothing_total is no metric",
        "bot_updates_total has no label colour",
        "bot_updates_total has no outcome odd",
        'bot_inbox_depth is asked without job="tracegram"',
        "bot_webhook_latency_seconds_bucket has no edge 0.5",
        "bot_jobs is no metric",
        "bot:nothing is not recorded",
        "bot_errors_total has no category odd",
    ]


def test_every_metric_of_ours_in_a_query_is_found() -> None:
    assert selectors(
        'sum by (instance, le) (rate(bot_a_bucket{job="x",le=~"1|2"}[5m])) / bot:b > up{c!="d"}'
    ) == [
        ("bot_a_bucket", [("job", "=", "x"), ("le", "=~", "1|2")]),
        ("bot:b", []),
        ("up", [("c", "!=", "d")]),
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_an_alert_is_well_declared(alert: Alert) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+", alert.name)
    assert alert.when.endswith(".")
    assert "{{" not in alert.when
    assert not alert.summary.endswith(".")
    assert alert.setting == "" or alert.setting.lower() in Alerting.model_fields
    assert alert.annotations("") == {
        "summary": alert.summary,
        "description": alert.when,
        "runbook_url": f"docs/runbooks/{alert.name}.md",
    }


def test_a_name_and_a_severity_are_one_alert() -> None:
    named = [(alert.name, alert.severity) for alert in ALERTS]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("setting", [name for name in Alerting.model_fields if name != "runbook_url"])
def test_each_threshold_changes_the_alerts_that_name_it_and_no_others_but_for_the_guard(setting: str) -> None:
    value = 50 if setting == "alert_pool_usage_threshold" else getattr(DEFAULTS, setting) * 1.5
    changed = alerts(DEFAULTS.model_copy(update={setting: value}))
    moved = {alert.name for alert, before in zip(changed, ALERTS, strict=True) if alert.expr != before.expr}
    named = {alert.name for alert in ALERTS if alert.setting == setting.upper()}
    assert moved
    assert named <= moved
    assert setting == "alert_min_events" or moved == named
    told = {alert.name for alert, before in zip(changed, ALERTS, strict=True) if alert.when != before.when}
    assert named <= told


def _histogram(threshold: str) -> tuple[float, ...]:
    """The edges of the one histogram of which the alert of a threshold takes a quantile."""
    (alert,) = [alert for alert in ALERTS if alert.setting == threshold.upper()]
    exprs = {r.name: r.expr for group in groups(DEFAULTS) for r in group.recordings}
    named = {name for name, _ in selectors(alert.expr)}
    named |= {name for record in named & exprs.keys() for name, _ in selectors(exprs[record])}
    (edges,) = [metric.buckets for metric in CATALOGUE if f"{metric.prometheus}_bucket" in named]
    assert edges is not None
    return edges


QUANTILES = ("alert_webhook_latency_threshold", "alert_pool_wait_threshold", "alert_loop_lag_threshold")


@pytest.mark.parametrize("threshold", QUANTILES)
def test_the_threshold_of_a_quantile_is_measured_and_not_guessed(threshold: str) -> None:
    """Between two edges a quantile is a guess: with 0.8 and 2 s alone, calls of 0.9 s were told as longer than 1 s."""
    assert getattr(DEFAULTS, threshold) in _histogram(threshold)


@pytest.mark.parametrize("threshold", QUANTILES)
def test_the_threshold_of_a_quantile_is_below_the_most_that_is_measured(threshold: str) -> None:
    """A quantile is never more than the highest edge, so an alert with this threshold could never be."""
    bounds = [bound for bound in Alerting.model_fields[threshold].metadata if isinstance(bound, (Lt, Le))]
    assert bounds == [Lt(max(_histogram(threshold)))]


def test_the_runbooks_may_have_an_address() -> None:
    (alert, *_) = ALERTS
    assert alert.annotations("https://example.org/books")["runbook_url"] == (
        f"https://example.org/books/{alert.name}.md"
    )


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires = {(case.alert, "") for case in CASES if case.fires}
    silent = {(case.alert, "") for case in CASES if not case.fires}
    for incident in INCIDENTS:
        for firing in incident.moments.values():
            fires |= {(incident.alert, severity) for severity in firing}
            silent |= {(incident.alert, s) for s in ("critical", "warning") if s not in firing}
    every = {(a.name, a.severity if a.category == "slo" else "") for a in ALERTS}
    assert fires == every
    # The watchdog never keeps silent.
    assert silent == every - {("Watchdog", "")}
