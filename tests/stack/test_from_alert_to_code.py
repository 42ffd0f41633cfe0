"""From an alert to the line of code, by what the stack says alone: the way of docs/sre.md.

With `TRACEGRAM_PICTURES=docs/images` in the environment it also takes the pictures of that page.
"""

from __future__ import annotations

import ast
import asyncio
import re
from pathlib import Path

import pytest

from deploy.grafana.source.__main__ import BOARDS
from deploy.native.run import Stack
from tests.kit.repository import ROOT
from tests.stack.backends import Json, eventually, get, lines, scopes, searched, series, trace
from tests.stack.bots import Bot, bot
from tests.stack.hurry import hurried
from tests.stack.pictures import Camera

#: What Telegram says to everything that the bot wants to send, so that each answer of the bot fails.
_REFUSED = {"error_code": 400, "description": "Bad Request: chat not found"}
_FAILURES = 14
_OURS = re.compile(r"/(app/bot/handlers/\w+\.py):(\d+) (\w+)$", re.MULTILINE)


@pytest.mark.timeout(300)
async def test_an_alert_leads_to_the_line_of_code(tmp_path: Path) -> None:
    (tmp_path / "bot").mkdir()
    async with hurried(tmp_path, alerts=True) as stack, bot(stack, tmp_path / "bot") as here:
        camera = Camera(stack)
        await _let_updates_fail(here)

        # 1. The alert, and the runbook that it names.
        alert = await eventually(lambda: _firing(stack), 60)
        assert alert["labels"]["severity"] == "critical"
        assert (ROOT / alert["annotations"]["runbook_url"]).is_file()
        await eventually(lambda: _told_alertmanager(stack), 60)
        await camera.alert(alert)

        # 2. The dashboard: since when, and which exception.
        asked = _query("updates", "Failed updates by exception")
        found = await series(stack, asked.replace("$instance", ".+").replace("$__rate_interval", "1m"))
        assert [one["metric"]["error_type"] for one in found] == ["TelegramBadRequest"]
        await camera.board("updates")

        # 3. A trace of it.
        [cid, *_] = await searched(stack, _query("overview", "Failed traces"))
        kept = await eventually(lambda: trace(stack, cid))
        assert _failed(kept) == {"process message", "handle not_understood", "sendMessage"}
        await camera.trace(cid, kept)

        # 4. Its log record: the file and the line.
        record = await _with_a_stack(stack, cid)
        file, line, function = _OURS.findall(record["error_stack"])[-1]
        assert (file, function) == ("app/bot/handlers/fallback.py", "not_understood")
        assert int(line) in _lines_of(ROOT / file, function)
        await camera.record(record)

        # 5. The same in the chat.
        async with here.sandbox.delete("/sandbox/faults") as answer:
            assert answer.status == 200
        told = await here.debug(cid)
        assert "DOWNSTREAM_ERROR" in told
        await camera.chat(here)


async def _let_updates_fail(here: Bot) -> None:
    await here.alice.answer_to("/start")
    # An update that fails asks twice: for the answer, and for the apology.
    await here.fault(method="sendMessage", kind="error", times=2 * _FAILURES, **_REFUSED)
    for _ in range(_FAILURES):
        await here.alice.say("hello")
        await asyncio.sleep(1.5)  # Prometheus has to see it grow.


async def _firing(stack: Stack) -> Json:
    alerts = (await get(f"{stack.prometheus}/api/v1/alerts"))["data"]["alerts"]
    found = [a for a in alerts if a["labels"]["alertname"] == "HighErrorRate" and a["state"] == "firing"]
    return found[0] if found else {}


async def _told_alertmanager(stack: Stack) -> list[Json]:
    found: list[Json] = await get(f"{stack.alertmanager}/api/v2/alerts", filter='alertname="HighErrorRate"')
    return found


def _query(slug: str, title: str) -> str:
    [query] = [
        query.expr
        for board in BOARDS
        if board.slug == slug
        for row in board.rows
        for panel in row.panels
        if panel.title == title
        for query in panel.queries
    ]
    return query


def _failed(kept: Json) -> set[str]:
    return {
        span["name"]
        for scope in scopes(kept)
        for span in scope["spans"]
        if span.get("status", {}).get("code") == "STATUS_CODE_ERROR"
    }


async def _with_a_stack(stack: Stack, cid: str) -> Json:
    async def ask() -> Json:
        found = await lines(stack, f'{{service_name="tracegram"}} | trace_id="{cid}" | error_stack!=""')
        return {**found[0][0], "line": found[0][1]} if found else {}

    return await eventually(ask)


def _lines_of(path: Path, function: str) -> range:
    [found] = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AsyncFunctionDef) and node.name == function
    ]
    return range(found.lineno, (found.end_lineno or found.lineno) + 1)
