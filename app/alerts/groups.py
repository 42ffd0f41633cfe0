"""All rules in the order in which Prometheus evaluates them: within a group, what is recorded comes before who uses it."""

from __future__ import annotations

from app.alerts import kinds, monitoring, slo
from app.alerts.rules import Alert, Group, render
from app.config.alerting import Alerting

_EVERY_S = 15

_HEAD = """\
# The rules of Tracegram: written by `tracegram rules` from app/alerts and the ALERT_* settings. In the repository this file
# has the defaults (`make docs`); with thresholds of your own: tracegram rules > tracegram.yaml
"""


def groups(thresholds: Alerting) -> tuple[Group, ...]:
    """The groups of rules, with these thresholds filled in."""
    return (
        Group("tracegram-bot", _EVERY_S, kinds.recordings(), kinds.alerts(thresholds)),
        Group("tracegram-slo", slo.INTERVAL_S, slo.recordings(), slo.alerts(thresholds)),
        Group("tracegram-monitoring", _EVERY_S, (), monitoring.alerts()),
    )


def alerts(thresholds: Alerting) -> tuple[Alert, ...]:
    """Every alert."""
    return tuple(alert for group in groups(thresholds) for alert in group.alerts)


def rules_file(thresholds: Alerting) -> str:
    """The file for Prometheus' `rule_files`."""
    return _HEAD + render(groups(thresholds), thresholds.runbook_url)
