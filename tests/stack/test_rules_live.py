"""The rules on a real Prometheus that scrapes a real bot: each can be evaluated, and what it asks for is there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.alerts.groups import alerts, groups
from app.config.alerting import DEFAULTS
from deploy.native.ports import HOST
from deploy.native.run import Stack, running
from tests.kit.promql import selectors
from tests.kit.runbooks import PAGES, blocks
from tests.kit.telemetry import SECRETS
from tests.stack.backends import eventually, get, series
from tests.stack.bots import bot

#: Counters of the Collector that are there only after their first event: what it refused, lost, or kept of a trace.
LATER = re.compile(
    r"otelcol_(exporter_(send|enqueue)_failed|receiver_refused)_\w+_total|otelcol_exporter_sent_spans_total"
)


@pytest_asyncio.fixture(loop_scope="function")
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """One of its own: what other tests break on purpose has alerts that go on for minutes."""
    async with running(tmp_path / "stack") as started:
        yield started


def _asked() -> set[str]:
    """Every metric of another program that an alert or a runbook asks for."""
    queries = [alert.expr for alert in alerts(DEFAULTS)]
    queries += [query for page in PAGES.values() for query in blocks(page, "promql")]
    names = {name for query in queries for name, _ in selectors(query)}
    ours = re.compile(r"(bot|process|otel_sdk)_|\w+:|up$")
    return {name for name in names if not ours.match(name) and not LATER.fullmatch(name)}


@pytest.mark.timeout(300)
async def test_every_rule_can_be_evaluated_and_finds_what_it_asks_for(stack: Stack, tmp_path: Path) -> None:
    webhook = {
        "BOT_MODE": "webhook",
        "WEBHOOK_URL": f"http://{HOST}:{stack.ports.bot}",
        "WEBHOOK_SECRET": SECRETS[0],
    }
    async with bot(stack, tmp_path, **webhook) as here:
        await here.alice.say("/start")
        # One series of each group: they are evaluated at moments of their own.
        ready = (
            'bot:available == 1 and on() count(slo:burn_rate:3d) == 5 and on() ALERTS{alertname="Watchdog"}'
        )
        await eventually(lambda: series(stack, ready), 150)
        assert await _lasting(lambda: _missing(stack)) == set()
        assert await _ill(stack) == []

        found = await series(stack, 'count by (le) (bot_webhook_latency_seconds_bucket{job="tracegram"})')
        edges = {one["metric"]["le"] for one in found}
        assert {"0.3", "0.8", "1.0", "2.0", "+Inf"} <= edges
        states = await series(stack, 'bot_health_state{job="tracegram"}')
        assert {one["metric"]["part"]: one["value"][1] for one in states} == {
            "database": "1",
            "downloader": "1",
            "updates": "1",
        }
        firing = await series(stack, 'ALERTS{alertstate="firing"}')
        assert {one["metric"]["alertname"] for one in firing} == {"Watchdog"}


async def _missing(stack: Stack) -> set[str]:
    found = await get(f"{stack.prometheus}/api/v1/label/__name__/values")
    return _asked() - set(found["data"])


async def _lasting(ask: Callable[[], Awaitable[set[str]]]) -> set[str]:
    """What is still answered after two scrapes more."""
    deadline = time.monotonic() + 40
    while (answer := await ask()) and time.monotonic() < deadline:
        await asyncio.sleep(1)
    return answer


async def _ill(stack: Stack) -> list[tuple[str, str]]:
    """The rules that could not be evaluated, with why."""
    found: dict[str, Any] = await get(f"{stack.prometheus}/api/v1/rules")
    rules = [rule for group in found["data"]["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group.recordings) + len(group.alerts) for group in groups(DEFAULTS))
    return [(rule["name"], rule.get("lastError", "")) for rule in rules if rule["health"] != "ok"]
