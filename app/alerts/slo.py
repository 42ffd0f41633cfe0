"""Service level objectives, and the alerts on how fast their budgets burn (multi-window, multi-burn-rate).

The method is that of the Site Reliability Workbook, chapter 5: a long window says that it matters, a short one that it still
goes on. Long windows are sums over recorded rates, so that three days cost a few thousand samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.alerts.promql import summed
from app.alerts.rules import VALUE, Alert, Recording, Severity, duration
from app.config.alerting import Alerting

#: Seconds between two evaluations of the recorded rates: sums over them are in units of this.
INTERVAL_S = 30
#: Seconds between two looks at whether an instance is ACTIVE: as often as that is recorded.
_LOOK_S = 15

_HOUR = 3600
#: Every window that an alert needs, in seconds.
WINDOWS = (300, 1800, _HOUR, 2 * _HOUR, 6 * _HOUR, 24 * _HOUR, 72 * _HOUR)
#: The period of the budget, in seconds.
PERIOD = 30 * 24 * _HOUR

#: Long window, short window, and who is told.
_PAIRS: tuple[tuple[int, int, Severity], ...] = (
    (_HOUR, 300, "critical"),
    (6 * _HOUR, 1800, "critical"),
    (24 * _HOUR, 2 * _HOUR, "warning"),
    (72 * _HOUR, 6 * _HOUR, "warning"),
)
#: 2 % of the month's budget in one hour, 5 % in six; 10 % in a day and in three days.
_FACTORS = (14.4, 6.0, 3.0, 1.0)
#: A budget of one half burns at most twice as fast as it may: when 90, 80, 70 and 60 % are too slow.
_FACTORS_OF_HALF = (1.8, 1.6, 1.4, 1.2)


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective: the share of good events. `bad` and `events` are rates per second over five minutes.

    Without `events` it is about time: `bad` is the share of time that was bad, and time that nobody saw counts as good, so
    that a Prometheus that has just started does not alert on an empty past.
    """

    slug: str
    alert: str
    objective: float
    good: str
    bad: str
    events: str
    factors: tuple[float, ...] = _FACTORS


def _slow(edge: str) -> str:
    accepted = 'outcome!="refused"'
    every = summed("bot_webhook_latency_seconds_count", accepted, window="5m")
    within = summed("bot_webhook_latency_seconds_bucket", accepted, f'le="{edge}"', window="5m")
    return f"{every}\n- {within}"


_FAILED = summed("bot_updates_total", 'outcome="error"', window="5m")
_UPDATES = summed("bot_updates_total", window="5m")
_REQUESTS = summed("bot_webhook_latency_seconds_count", 'outcome!="refused"', window="5m")

SLOS: tuple[Slo, ...] = (
    Slo(
        "availability",
        "AvailabilityBudgetBurn",
        0.995,
        "of the time an instance is ACTIVE and answers Prometheus",
        # By the looks that five minutes have, not by those that there are: a Prometheus that has just begun has few.
        f"sum_over_time((1 - bot:available)[5m:{_LOOK_S}s]) / {WINDOWS[0] // _LOOK_S}",
        "",
    ),
    Slo(
        "errors",
        "ErrorBudgetBurn",
        0.999,
        "of the attempts at updates do not fail",
        # Before the first failure there is no series of failures.
        f"{_FAILED}\nor {_UPDATES} * 0",
        _UPDATES,
    ),
    # The edges 0.3, 0.8 and 2 are buckets of the histogram, so these are counts and not estimates. What strangers
    # send without the secret is refused, and is no promise of ours.
    Slo(
        "webhook-p50",
        "WebhookMedianBudgetBurn",
        0.50,
        "of Telegram's webhook calls are answered within 0.3 s",
        _slow("0.3"),
        _REQUESTS,
        _FACTORS_OF_HALF,
    ),
    Slo(
        "webhook-p95",
        "WebhookSlowBudgetBurn",
        0.95,
        "of Telegram's webhook calls are answered within 0.8 s",
        _slow("0.8"),
        _REQUESTS,
    ),
    Slo(
        "webhook-p99",
        "WebhookVerySlowBudgetBurn",
        0.99,
        "of Telegram's webhook calls are answered within 2 s",
        _slow("2.0"),
        _REQUESTS,
    ),
)


def recordings() -> tuple[Recording, ...]:
    """Bad events and all events of each objective, the share of bad ones over each window, and how fast budgets burn."""
    return tuple(recording for slo in SLOS for recording in _recordings(slo))


def _recordings(slo: Slo) -> list[Recording]:
    labels = {"slo": slo.slug}
    found = [
        Recording("slo:objective:ratio", f"vector({slo.objective:g})", labels),
        Recording("slo:bad_events:rate5m", slo.bad, labels),
    ]
    if slo.events:
        found.append(Recording("slo:events:rate5m", slo.events, labels))
    found += [
        Recording(f"slo:error_ratio:{duration(window)}", _ratio(slo, window), labels)
        for window in (*WINDOWS, PERIOD)
    ]
    found += [
        Recording(
            f"slo:burn_rate:{duration(window)}",
            f'slo:error_ratio:{duration(window)}{{slo="{slo.slug}"}} / {_budget(slo)}',
            labels,
        )
        for window in WINDOWS
    ]
    left = f'1 - slo:error_ratio:30d{{slo="{slo.slug}"}} / {_budget(slo)}'
    found.append(Recording("slo:budget_remaining:ratio", left, labels))
    return found


def _ratio(slo: Slo, window: int) -> str:
    if window == WINDOWS[0]:
        # The rates are over five minutes already; summing them again would hide the end of an incident.
        bad = f'slo:bad_events:rate5m{{slo="{slo.slug}"}}'
        return f'{bad}\n/ slo:events:rate5m{{slo="{slo.slug}"}}' if slo.events else bad
    bad = _over("bad_events", slo, window)
    if slo.events:
        return f"{bad}\n/ {_over('events', slo, window)}"
    return f"{bad} / {window // INTERVAL_S}"


def _over(what: str, slo: Slo, window: int) -> str:
    return f'sum_over_time(slo:{what}:rate5m{{slo="{slo.slug}"}}[{duration(window)}])'


def _budget(slo: Slo) -> str:
    return f"{1 - slo.objective:.4g}"


def alerts(thresholds: Alerting) -> tuple[Alert, ...]:
    """For each objective one alert that wakes somebody up and one that waits for the day."""
    return tuple(_alert(slo, severity, thresholds) for slo in SLOS for severity in ("critical", "warning"))


def _alert(slo: Slo, severity: Severity, thresholds: Alerting) -> Alert:
    pairs = [
        (long, short, factor)
        for (long, short, told), factor in zip(_PAIRS, slo.factors, strict=True)
        if told == severity
    ]
    setting = "ALERT_MIN_EVENTS" if slo.events else ""
    pace = " or ".join(f"{factor:g} times over {duration(long)}" for long, _, factor in pairs)
    enough = f", by more than {thresholds.alert_min_events} bad events" if slo.events else ""
    return Alert(
        slo.alert,
        severity,
        "slo",
        "\nor\n".join(_burns(slo, long, short, factor, thresholds) for long, short, factor in pairs),
        120 if severity == "critical" else 900,
        f"The budget of the objective {slo.slug} burns {VALUE} times as fast as it may",
        f"The objective: {slo.objective * 100:g} % {slo.good}. Its budget burns at {pace}{enough}.",
        setting,
        {"slo": slo.slug},
    )


def _burns(slo: Slo, long: int, short: int, factor: float, thresholds: Alerting) -> str:
    of = f'{{slo="{slo.slug}"}}'
    clauses = [
        f"slo:burn_rate:{duration(long)}{of} > {factor:g}",
        f"slo:burn_rate:{duration(short)}{of} > {factor:g}",
    ]
    if slo.events:
        # A rate times the seconds that it stands for is a number of events.
        clauses.append(f"{_over('bad_events', slo, long)} * {INTERVAL_S} > {thresholds.alert_min_events}")
    return "(\n  " + "\n  and ".join(clauses) + "\n)"
