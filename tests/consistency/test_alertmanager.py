"""Alertmanager's configuration: how soon and how often who is told, and only of alerts that there are."""

from __future__ import annotations

import re
from typing import Any

import yaml

from app.alerts.groups import alerts
from app.config.alerting import DEFAULTS
from tests.kit.repository import ROOT

CONFIGURATION: dict[str, Any] = yaml.safe_load(
    (ROOT / "deploy" / "alertmanager" / "alertmanager.yaml").read_text(encoding="utf-8")
)
#: Alerts that come with the metrics of a later day; how they are told is decided already.
LATER = {"PaymentFailure"}


def _rhythm(route: dict[str, Any]) -> tuple[str, str, str]:
    """How long the first message waits for others, how soon a change is told, and when it is told again."""
    whole = {**CONFIGURATION["route"], **route}
    return whole["group_wait"], whole["group_interval"], whole["repeat_interval"]


def _seconds(text: str) -> int:
    """A duration of Prometheus, such as 1h30m."""
    sizes = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+)([hms])", text))


def _again(route: dict[str, Any]) -> int:
    """Seconds from one message to the next while nothing changes."""
    _, interval, repeat = (_seconds(text) for text in _rhythm(route))
    return -(-repeat // interval) * interval


def test_who_is_told_how_soon_and_how_often() -> None:
    routes = {route["matchers"][0]: route for route in CONFIGURATION["route"]["routes"]}
    assert {matcher: (route["receiver"], *_rhythm(route)) for matcher, route in routes.items()} == {
        'alertname = "Watchdog"': ("watchdog", "0s", "1m", "4m30s"),
        'alertname = "PaymentFailure"': ("telegram-loud", "0s", "1s", "5m"),
        'alertname = "HighErrorRate"': ("telegram-loud", "0s", "5m", "29m"),
        'alertname = "QueueBackup"': ("telegram-quiet", "30s", "5m", "14m"),
        'severity = "critical"': ("telegram-loud", "0s", "1m", "59m30s"),
    }
    assert (CONFIGURATION["route"]["receiver"], *_rhythm({})) == ("telegram-quiet", "30s", "5m", "11h59m")


def test_an_alert_is_told_again_at_the_look_that_is_meant() -> None:
    """Six intervals exactly became seven: at the sixth look the last message was not quite old enough."""
    for route in ({}, *CONFIGURATION["route"]["routes"]):
        _, interval, repeat = (_seconds(text) for text in _rhythm(route))
        spare = -repeat % interval
        # An answer of Telegram may take some seconds; more than half an interval would be another rhythm.
        assert interval == 1 or 30 <= spare <= interval / 2, route


def test_what_is_said_of_the_rhythm_is_so() -> None:
    """The times that docs/alerts.md names are those of the looks at which an alert is told again."""
    said = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    routes = {route["matchers"][0]: route for route in CONFIGURATION["route"]["routes"]}
    told = {name: _again(route) for name, route in {**routes, "": {}}.items()}
    assert told['severity = "critical"'] == 3600
    assert told['alertname = "HighErrorRate"'] == 30 * 60
    assert told['alertname = "QueueBackup"'] == 15 * 60
    assert told['alertname = "Watchdog"'] == 5 * 60
    assert told[""] == 12 * 3600
    text = " ".join(said.split())
    assert "and again every hour; `warning` silently" in text
    assert (
        "and again after twelve hours. `HighErrorRate` comes again every 30 minutes, `QueueBackup` every 15."
        in text
    )


def test_each_failed_payment_is_a_message_of_its_own() -> None:
    groups = {route["matchers"][0]: route.get("group_by") for route in CONFIGURATION["route"]["routes"]}
    assert groups['alertname = "PaymentFailure"'] == ["..."]


def test_routes_and_inhibitions_name_only_alerts_that_there_are() -> None:
    rules = CONFIGURATION["inhibit_rules"]
    matchers = [m for route in CONFIGURATION["route"]["routes"] for m in route["matchers"]]
    matchers += [m for rule in rules for m in (*rule["source_matchers"], *rule["target_matchers"])]
    found = [re.fullmatch(r'alertname =~? "([A-Za-z|]+)"', matcher) for matcher in matchers]
    named = {name for match in found if match for name in match[1].split("|")}
    assert len(named) > 10
    assert named - {alert.name for alert in alerts(DEFAULTS)} == LATER


def test_no_secret_stands_in_it() -> None:
    text = (ROOT / "deploy" / "alertmanager" / "alertmanager.yaml").read_text(encoding="utf-8")
    keys = set(re.findall(r"(\w*(?:token|chat_id|credentials|password|secret)\w*):", text))
    assert keys == {"telegram_bot_token_file", "chat_id_file", "credentials_file"}
