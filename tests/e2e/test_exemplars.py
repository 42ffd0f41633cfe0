"""The exemplars at the bot's door name spans that are marked, so that the Collector keeps their traces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.trace import format_span_id

from app.telemetry.series import EXEMPLAR
from tests.kit.bot import World, world
from tests.kit.telemetry import Captured

_NAMED = re.compile(r'^(\w+)\{.* # \{span_id="(\w+)",trace_id="(\w+)"\}', re.MULTILINE)


async def _named(here: World) -> list[tuple[str, str, str]]:
    """What the exemplars say: the metric, and IDs of a span and a trace."""
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with here.web.get("/metrics", headers=headers) as answer:
        return _NAMED.findall(await answer.text())


async def test_what_the_exemplars_of_an_update_name_is_marked(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.telemetry.series._HELD_NS", 0)  # those of the tests before have had their time
    async with world(telemetry, tmp_path) as here:
        await here.alice.answer_to("/start")
        await here.updates_done()
        named = await _named(here)
    cid = telemetry.cid_of("process message")
    spans = {format_span_id(span.context.span_id): span for span in telemetry.trace(cid)}
    found = {(metric, spans[span].name) for metric, span, trace in named if trace == cid}

    assert found - {("bot_db_pool_wait_seconds_bucket", "connect")} == {
        ("bot_api_request_duration_seconds_bucket", "handle start"),
        ("bot_command_usage_total", "process message"),
        ("bot_handler_latency_seconds_bucket", "process message"),
        ("bot_update_latency_seconds_bucket", "process message"),
        ("bot_updates_total", "process message"),
    }
    marked = {name for name, span in spans.items() if (span.attributes or {}).get(EXEMPLAR) is True}
    assert {span for _, span, trace in named if trace == cid} <= marked
