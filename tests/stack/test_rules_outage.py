"""An outage moment by moment on the real promtool: the cause fires first, so that Alertmanager keeps back what follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stack.promtool import ALERTS, every_group, fired, run
from tests.stack.rule_cases import BOT, Labels, bot

#: Those on updates, instances and the database.
_GROUPS = [group for group in every_group() if group.name == "tracegram-bot"]
_OTHER = "bot-2:9464"
_CRITICAL = ("DatabaseIssues", "HealthFailing", "NoLeader", "HeartbeatStale", "DownloaderDown", "TwoLeaders")

#: When an alert begins to fire and when it no longer does, in seconds, and what it is about.
Fires = dict[str, tuple[int, int, list[tuple[Labels, str]]]]


def _timeline(series: dict[str, str], expected: Fires, until_s: int) -> dict[str, Any]:
    """Every critical alert on instances, looked at with each evaluation."""
    moments = []
    for second in range(0, until_s, 15):
        for name in _CRITICAL:
            begins, ends, told = expected.get(name, (0, 0, []))
            firing = told if begins <= second < ends else []
            alerts = [fired(ALERTS[name, "critical"], labels, summary) for labels, summary in firing]
            moments.append({"eval_time": f"{second}s", "alertname": name, "exp_alerts": alerts})
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "15s", "input_series": inputs, "alert_rule_test": moments}


def _both(summary: str) -> list[tuple[Labels, str]]:
    return [({"instance": name}, summary.format(name)) for name in (BOT, _OTHER)]


def test_a_database_that_dies_is_told_before_what_follows_from_it(tmp_path: Path) -> None:
    """For five minutes from the fifth on. The leader stands down a scrape before, and is back a scrape after the database."""
    series = {
        bot("bot_leader_state"): "1x18 0x21 1x40",
        bot("bot_leader_state", _OTHER): "0x100",
        **{bot("bot_health_state", name, part="database"): "1x19 0x19 1x40" for name in (BOT, _OTHER)},
        **{bot("bot_health_state", name, part="updates"): "1x19 0x20 1x40" for name in (BOT, _OTHER)},
        **{bot("bot_health_state", name, part="downloader"): "1x100" for name in (BOT, _OTHER)},
        **{bot("bot_lock_heartbeat_age_seconds", name): "1x18 15+15x20 1x40" for name in (BOT, _OTHER)},
    }
    expected: Fires = {
        "DatabaseIssues": (330, 600, _both("The database does not serve {} as it should")),
        "HealthFailing": (375, 615, _both("/health of {} fails")),
        "HeartbeatStale": (375, 600, [({}, "The heartbeat of the lease is missing or old")]),
    }
    run(tmp_path, _GROUPS, "15s", [_timeline(series, expected, 900)])


def test_a_downloader_that_is_missing_is_told_before_health(tmp_path: Path) -> None:
    series = {
        bot("bot_leader_state"): "1x100",
        bot("bot_lock_heartbeat_age_seconds"): "1x100",
        bot("bot_health_state", part="downloader"): "1x19 0x80",
    }
    expected: Fires = {
        "DownloaderDown": (360, 900, [({"instance": BOT}, f"Downloads do not work on {BOT}")]),
        "HealthFailing": (375, 900, [({"instance": BOT}, f"/health of {BOT} fails")]),
    }
    run(tmp_path, _GROUPS, "15s", [_timeline(series, expected, 900)])


def test_bots_that_are_gone_are_told_before_their_heartbeat(tmp_path: Path) -> None:
    """Both stop at the fifth minute; Prometheus notes it with the next scrape."""
    series = {
        bot("bot_leader_state"): "1x19 stale",
        bot("bot_lock_heartbeat_age_seconds"): "1x19 stale",
        bot("bot_health_state", part="database"): "1x19 stale",
    }
    expected: Fires = {
        "NoLeader": (330, 900, [({}, "No instance is ACTIVE: nothing is processed")]),
        "HeartbeatStale": (
            345,
            900,
            [({"job": "tracegram"}, "The heartbeat of the lease is missing or old")],
        ),
    }
    run(tmp_path, _GROUPS, "15s", [_timeline(series, expected, 900)])
