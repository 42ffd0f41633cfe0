"""The objectives on the real promtool: budgets burn and recover as the incidents say, and the recorded shares are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.alerts.rules import Group
from tests.stack.promtool import ALERTS, every_group, fired, recorded, run
from tests.stack.rule_cases import bot, updates
from tests.stack.slo_cases import INCIDENTS, Incident


def _rules_of(slo: str) -> list[Group]:
    """The rules that the objective needs: all of them, over days, would take minutes."""
    groups = {group.name: group for group in every_group()}
    bot, objectives = groups["tracegram-bot"], groups["tracegram-slo"]
    available = tuple(recording for recording in bot.recordings if recording.name == "bot:available")
    recordings = tuple(r for r in objectives.recordings if r.labels["slo"] == slo)
    alerts = tuple(alert for alert in objectives.alerts if alert.labels["slo"] == slo)
    return [Group(bot.name, 30, available), Group(objectives.name, 30, recordings, alerts)]


def _told(incident: Incident) -> dict[str, Any]:
    moments = []
    for moment, firing in incident.moments.items():
        expected = [
            fired(
                ALERTS[incident.alert, severity],
                {},
                f"The budget of the objective {incident.slo} burns {pace} times as fast as it may",
            )
            for severity, pace in firing.items()
        ]
        moments.append({"eval_time": moment, "alertname": incident.alert, "exp_alerts": expected})
    series = [{"series": name, "values": values} for name, values in incident.series.items()]
    return {"interval": "1m", "input_series": series, "alert_rule_test": moments}


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: f"{incident.slo}: {incident.what}")
def test_an_incident_alerts_while_it_matters(incident: Incident, tmp_path: Path) -> None:
    run(tmp_path, _rules_of(incident.slo), "30s", [_told(incident)])


def test_recorded_shares_are_those_of_the_objective(tmp_path: Path) -> None:
    """One of 250 updates fails: four times the budget of one of 1000, of which nothing is left."""
    series = {updates("handled"): "0+996x130", updates("error"): "0+4x130"}
    share = {
        f"slo:error_ratio:{window}": 0.004 for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    }
    pace = {f"slo:burn_rate:{window}": 4 for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")}
    rest = {"slo:objective:ratio": 0.999, "slo:budget_remaining:ratio": -3, "slo:events:rate5m": 1000 / 60}
    recorded({**share, **pace, **rest}, _rules_of("errors"), series, {"slo": "errors"}, tmp_path)


def test_time_that_nobody_saw_counts_as_good(tmp_path: Path) -> None:
    """Ten minutes without an ACTIVE instance in the two hours that Prometheus has run."""
    series = {bot("bot_leader_state"): "1x60 0x9 1x60"}
    seconds = 600
    budget = 30 * 24 * 3600 * 0.005
    expected = {
        "bot:available": 1,
        "slo:error_ratio:2h": seconds / 7200,
        "slo:error_ratio:1d": seconds / 86400,
        "slo:budget_remaining:ratio": 1 - seconds / budget,
    }
    recorded(expected, _rules_of("availability"), series, {"slo": "availability"}, tmp_path)
