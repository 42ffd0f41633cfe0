"""An update that fails is kept although the share is 0 %, and the alert that failures raise rings and comes to rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.native.run import Stack
from tests.stack.backends import eventually, get, lines, policies, reload, span_names, trace
from tests.stack.bots import ALICE, Bot, bot

_ALERT = "HighErrorRate"
#: What a test cannot wait for; the expressions and their windows stay as they are.
_QUICK = {"_interval: 15s": "_interval: 1s", "scrape_timeout: 10s": "scrape_timeout: 1s"}
_QUICK_RULES = {"interval: 15s": "interval: 1s", "for: 1m": "for: 2s"}
_GROUP = {"id": -100500, "type": "supergroup", "title": "a group"}
_AUTHOR = {"id": ALICE, "is_bot": False, "first_name": "Alice"}


@pytest_asyncio.fixture(loop_scope="function")
async def hurried(stack: Stack) -> AsyncIterator[Stack]:
    """The stack with a Prometheus that looks every second."""
    folder = stack.folder / "prometheus" / "config"
    changed = {folder / "prometheus.yaml": _QUICK, folder / "rules" / "tracegram.yaml": _QUICK_RULES}
    before = {file: file.read_text() for file in changed}
    for file, pieces in changed.items():
        text = before[file]
        for piece, instead in pieces.items():
            assert piece in text
            text = text.replace(piece, instead)
        file.write_text(text)
    await reload(stack)
    yield stack
    for file, text in before.items():
        file.write_text(text)
    await reload(stack)


@pytest.mark.timeout(240)
async def test_failures_are_kept_ring_and_come_to_rest(hurried: Stack, tmp_path: Path) -> None:
    async with bot(hurried, tmp_path) as here:
        await here.admin.answer_to("/start")  # Telegram lets nobody be written to who never wrote.
        await _ordinary(here, 1)
        await eventually(lambda: _counted(hurried))

        # Telegram refuses the answer, and then the apology: the update fails.
        await here.fault(
            method="sendMessage", kind="error", error_code=400, description="Bad Request: no", times=2
        )
        failed = await here.alice.say("/help")
        # A counter that begins with its first failure shows no increase: one of each kind comes before the others.
        await here.update(message={"text": 1})
        await _is_kept(hurried, failed["update_id"])

        for _ in range(15):
            await here.update(message={"text": 1})
        assert await eventually(lambda: _firing(hurried), 60) == {
            "severity": "critical",
            "category": "updates",
        }
        told = await here.admin.until(lambda m: "of the attempts at updates fail" in (m["text"] or ""), 60)
        assert _ALERT in told["text"]
        assert await eventually(lambda: _active(hurried)) == ["critical"]

        await _ordinary(here, 600)
        await eventually(lambda: _at_rest(hurried), 60)


async def _ordinary(here: Bot, number: int) -> None:
    """Messages between people, which the bot only looks at."""
    for message_id in range(number):
        message = {
            "message_id": message_id + 1,
            "date": 1_790_000_000,
            "chat": _GROUP,
            "from": _AUTHOR,
            "text": "hi",
        }
        await here.update(message=message)


async def _is_kept(stack: Stack, update_id: int) -> None:
    query = f'{{service_name="tracegram"}} | event_name="DISPATCH_FAIL" | update_id="{update_id}"'
    [(told, _)] = await eventually(lambda: lines(stack, query))
    kept = await eventually(lambda: trace(stack, told["trace_id"]))
    assert policies(kept) == {"errors"}
    assert {"receive message", "process message", "handle show_help", "sendMessage"} <= set(span_names(kept))


async def _counted(stack: Stack) -> list[Any]:
    found = await get(
        f"{stack.prometheus}/api/v1/query", query='bot_updates_total{job="tracegram",outcome!="error"} > 0'
    )
    return list(found["data"]["result"])


async def _firing(stack: Stack) -> dict[str, str]:
    """The labels of the alert in Prometheus, when it fires there."""
    found = await get(f"{stack.prometheus}/api/v1/alerts")
    for alert in found["data"]["alerts"]:
        if alert["labels"]["alertname"] == _ALERT and alert["state"] == "firing":
            return {name: label for name, label in alert["labels"].items() if name != "alertname"}
    return {}


async def _active(stack: Stack) -> list[str]:
    """The severities with which Alertmanager has it."""
    found = await get(f"{stack.alertmanager}/api/v2/alerts", active="true")
    return [alert["labels"]["severity"] for alert in found if alert["labels"]["alertname"] == _ALERT]


async def _at_rest(stack: Stack) -> bool:
    return not await _firing(stack) and not await _active(stack)
