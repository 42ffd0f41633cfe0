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


def test_who_is_told_how_soon_and_how_often() -> None:
    routes = {route["matchers"][0]: route for route in CONFIGURATION["route"]["routes"]}
    assert {matcher: (route["receiver"], *_rhythm(route)) for matcher, route in routes.items()} == {
        'alertname = "Watchdog"': ("watchdog", "0s", "1m", "5m"),
        'alertname = "PaymentFailure"': ("telegram-loud", "0s", "1s", "5m"),
        'alertname = "HighErrorRate"': ("telegram-loud", "0s", "5m", "30m"),
        'alertname = "QueueBackup"': ("telegram-quiet", "30s", "5m", "15m"),
        'severity = "critical"': ("telegram-loud", "0s", "1m", "1h"),
    }
    assert (CONFIGURATION["route"]["receiver"], *_rhythm({})) == ("telegram-quiet", "30s", "5m", "12h")


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
