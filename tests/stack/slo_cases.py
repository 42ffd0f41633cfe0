"""Incidents as they happen, and which alerts on budgets follow from them, moment by moment.

A sample a minute. Each alert fires in one incident at least, and is silent in another.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.stack.rule_cases import bot, buckets, updates

CRITICAL, WARNING = "critical", "warning"
#: The severities that fire, each with how fast the budget burns as the summary says it.
Firing = dict[str, str]


@dataclass(frozen=True)
class Incident:
    """What happens to one objective, and what fires at each of some moments."""

    what: str
    slo: str
    alert: str
    series: dict[str, str]
    moments: dict[str, Firing]


def webhook(edge: str, calls: str, within: str) -> dict[str, str]:
    """Webhook calls, and those within an edge."""
    return buckets("bot_webhook_latency_seconds", calls, (edge, within), outcome="stored")


def leader(values: str) -> dict[str, str]:
    """Whether the one instance is ACTIVE."""
    return {bot("bot_leader_state"): values}


def failing(handled: str, error: str) -> dict[str, str]:
    """Updates that are handled, and that fail."""
    return {updates("handled"): handled, updates("error"): error}


INCIDENTS = [
    Incident(
        "every fifth update fails for 20 minutes after six good hours, then it is mended",
        "errors",
        "ErrorBudgetBurn",
        # 600 a minute; from minute 360 on 120 of them fail.
        failing("0+600x360 216480+480x19 226080+600x420", "0x360 120+120x19 2400x420"),
        # At first the hour counts, then six of them; for the rest of the day it is a warning.
        {
            "6h": {},
            "6h20m": {CRITICAL: "58.82", WARNING: "9.335"},
            "6h40m": {CRITICAL: "10.91", WARNING: "9.876"},
            "12h": {WARNING: "5.471"},
            "13h": {},
        },
    ),
    Incident(
        "one update in 250 fails for a day",
        "errors",
        "ErrorBudgetBurn",
        failing("0+996x1500", "0+4x1500"),
        {"25h": {WARNING: "4"}},
    ),
    Incident(
        "one update in 2000 fails", "errors", "ErrorBudgetBurn", failing("0+1999x400", "0+1x400"), {"6h": {}}
    ),
    Incident(
        "the only update of the night fails in each of its ten tries",
        "errors",
        "ErrorBudgetBurn",
        failing("5x120", "0x60 0+1x10 10x50"),
        {"1h5m": {}, "1h15m": {}, "2h": {}},
    ),
    Incident(
        "no instance is ACTIVE for a quarter of an hour",
        "availability",
        "AvailabilityBudgetBurn",
        leader("1x120 0x15 1x480"),
        {"2h": {}, "2h15m": {CRITICAL: "40"}, "2h45m": {CRITICAL: "8.889"}, "3h15m": {}},
    ),
    Incident(
        "a deploy of one instance alone, a minute long",
        "availability",
        "AvailabilityBudgetBurn",
        leader("1x120 0 1x60"),
        {"2h2m": {}, "2h10m": {}},
    ),
    Incident(
        "two minutes of every hour nobody is ACTIVE",
        "availability",
        "AvailabilityBudgetBurn",
        leader(" ".join(["1x57 0 0"] * 30)),
        {"26h": {WARNING: "6.667"}},
    ),
    Incident(
        "Prometheus has just started, before the bot",
        "availability",
        "AvailabilityBudgetBurn",
        leader("_ _ 1x30"),
        {"1m": {}, "2m": {}, "10m": {}},
    ),
    # Three minutes are 5 % of an hour, which burns ten times as fast as it may; the hour counts, not the time that was seen.
    Incident(
        "Prometheus has just started, three minutes before an instance is ACTIVE",
        "availability",
        "AvailabilityBudgetBurn",
        leader("_ 0 0 1x80"),
        {f"{minute}m": {} for minute in range(1, 80)},
    ),
    Incident(
        "Prometheus has just started, and no instance becomes ACTIVE",
        "availability",
        "AvailabilityBudgetBurn",
        leader("0x80"),
        {"3m": {}, "6m": {}, "10m": {CRITICAL: "26.67"}},
    ),
    Incident(
        "95 of 100 calls take longer than 0.3 s",
        "webhook-p50",
        "WebhookMedianBudgetBurn",
        webhook("0.3", "0+100x180", "0+5x180"),
        {"2h": {CRITICAL: "1.9", WARNING: "1.9"}},
    ),
    Incident(
        "three of four calls take longer than 0.3 s",
        "webhook-p50",
        "WebhookMedianBudgetBurn",
        webhook("0.3", "0+100x190", "0+25x190"),
        {"3h": {WARNING: "1.5"}},
    ),
    Incident(
        "half of the calls take longer than 0.3 s, as they may",
        "webhook-p50",
        "WebhookMedianBudgetBurn",
        webhook("0.3", "0+100x500", "0+50x500"),
        {"8h": {}},
    ),
    Incident(
        "four of five calls take longer than 0.8 s",
        "webhook-p95",
        "WebhookSlowBudgetBurn",
        webhook("0.8", "0+100x180", "0+20x180"),
        {"2h": {CRITICAL: "16", WARNING: "16"}},
    ),
    Incident(
        "a fifth of the calls takes longer than 0.8 s, for hours",
        "webhook-p95",
        "WebhookSlowBudgetBurn",
        webhook("0.8", "0+100x190", "0+80x190"),
        {"3h": {WARNING: "4"}},
    ),
    Incident(
        "four of 100 calls take longer than 0.8 s, as they may",
        "webhook-p95",
        "WebhookSlowBudgetBurn",
        webhook("0.8", "0+100x500", "0+96x500"),
        {"8h": {}},
    ),
    Incident(
        "a fifth of the calls takes longer than 2 s",
        "webhook-p99",
        "WebhookVerySlowBudgetBurn",
        webhook("2.0", "0+100x180", "0+80x180"),
        {"2h": {CRITICAL: "20", WARNING: "20"}},
    ),
    Incident(
        "four of 100 calls take longer than 2 s, for hours",
        "webhook-p99",
        "WebhookVerySlowBudgetBurn",
        webhook("2.0", "0+100x190", "0+96x190"),
        {"3h": {WARNING: "4"}},
    ),
    Incident(
        "the one call of the night takes longer than 2 s",
        "webhook-p99",
        "WebhookVerySlowBudgetBurn",
        webhook("2.0", "0x60 1x60", "0x60 0x60"),
        {"1h5m": {}, "2h": {}},
    ),
]
