"""Every query of the dashboards, and every link between the data sources, asked of the real programs after a run of the bot."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
import yaml

from app.telemetry.catalogue import UPDATE_LATENCY
from deploy.grafana.source.__main__ import BOARDS, FOLDER
from deploy.grafana.source.panel import Query
from deploy.grafana.source.promql import buckets
from deploy.native.run import Stack
from tests.kit.runbooks import PAGES, blocks
from tests.kit.telemetry import SECRETS
from tests.stack.backends import Json, eventually, get, lines, searched, series, trace
from tests.stack.bots import Bot, bot
from tests.stack.hurry import hurried

#: The first test waits for the whole run.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

#: What Grafana puts in: all instances, a window of the screen, its time.
_FILLED_IN = {"$instance": ".+", "$__rate_interval": "1m", "$__range": "30m"}
_NONE = re.compile(r"or on\(\) (?:label_replace\(vector\(0\)[^)]*\)|vector\(0\))")
_QUERIES = [
    pytest.param(query, id=f"{board.slug}: {panel.title} {query.legend}".strip())
    for board in BOARDS
    for row in board.rows
    for panel in row.panels
    for query in panel.queries
]

#: What shows zero after a run in which nothing of the kind happens: incidents that take hours, or a broken program.
_QUIET = {
    *(
        ("Given up", f"{signal}{how}")
        for signal in ("spans", "log records", "metric points")
        for how in (" refused", ": queue full")
    ),
    ("Loki: lines", "thrown away"),
}


def _filled(expr: str) -> str:
    for name, value in _FILLED_IN.items():
        expr = expr.replace(name, value)
    return expr


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A stack that keeps every trace and scrapes each second, after a run in which most things happened once."""
    folder = tmp_path_factory.mktemp("dashboards")
    async with hurried(folder) as stack:
        (folder / "bot").mkdir()
        webhook = {
            "BOT_MODE": "webhook",
            "WEBHOOK_URL": f"http://127.0.0.1:{stack.ports.bot}",
            "WEBHOOK_SECRET": SECRETS[0],
        }
        async with bot(stack, folder / "bot", **webhook) as here:
            await _play(here)
            await _play(here)
            await _until_it_is_in(stack)
            yield stack


async def _play(here: Bot) -> None:
    """A download, one that fails, commands, presses good and bad, a duplicate, a 429, and two updates that fail, one of which cannot be read: an alert."""
    started = await here.alice.say("/start")
    menu = await here.alice.until(lambda m: m["keyboard"] and m["message_id"] > started["message_id"])
    await here.alice.press(menu["message_id"], "mm.help")
    await here.alice.until(lambda m: m["edit_date"] and m["message_id"] == menu["message_id"])
    await here.alice.press(menu["message_id"], "gone.button", force=True)
    await here.alice.answer_to("/debug")
    await here.alice.answer_to("hello")
    await _repeat(here, started["update_id"])
    await here.fault(method="sendMessage", kind="error", error_code=429, retry_after=1)
    await here.alice.answer_to("/help")
    await _inject(here, {"message": {"text": 1}})
    await here.fault(method="sendAudio", kind="bad_json")
    sent = await here.alice.say(f"{here.media}/watch/sample")
    await here.alice.until(lambda m: m["attachment"] and m["message_id"] > sent["message_id"], 60)
    await here.alice.answer_to(f"{here.media}/missing")
    await asyncio.sleep(1.5)  # Longer than a scrape, so that the second round is an increase.


async def _repeat(here: Bot, update_id: int) -> None:
    async with here.sandbox.post(f"/sandbox/updates/{update_id}/redeliver", json={}) as answer:
        assert answer.status == 200, await answer.text()


async def _inject(here: Bot, update: Json) -> None:
    async with here.sandbox.post("/sandbox/updates", json=update) as answer:
        assert answer.status == 200, await answer.text()


async def _until_it_is_in(stack: Stack) -> None:
    """Wait until the last of it has come through the Collector, and the objectives are recorded."""
    await eventually(lambda: series(stack, "traces_span_metrics_duration_seconds_bucket"), 60)
    await eventually(lambda: series(stack, "rate(traces_service_graph_request_total[1m])"), 60)
    await eventually(lambda: series(stack, "slo:budget_remaining:ratio"), 60)
    await eventually(
        lambda: series(stack, 'otelcol_exporter_sent_spans_total{exporter="otlp_http/tempo"}'), 60
    )
    # The last update passes the bot's export, the sampling and a scrape: each takes up to a second.
    await asyncio.sleep(4)


async def _found(stack: Stack, query: Query, expr: str) -> list[Any]:
    match query.source:
        case "prometheus":
            return await series(stack, expr)
        case "loki":
            return [line for _, line in await lines(stack, expr)]
        case "tempo":
            return await searched(stack, expr)


@pytest.mark.parametrize("query", _QUERIES)
async def test_a_query_finds_something(played: Stack, query: Query) -> None:
    assert await _found(played, query, _filled(query.expr)) != []


async def test_what_the_bot_did_is_on_its_panels(played: Stack) -> None:
    """Without the zeros that stand for nothing, only what did not happen is missing."""
    missing = {
        (panel.title, query.legend)
        for board in BOARDS
        for row in board.rows
        for panel in row.panels
        for query in panel.queries
        if not await _found(played, query, _NONE.sub("", _filled(query.expr)))
    }

    assert missing == _QUIET


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "traceql")])
async def test_a_runbook_asks_for_attributes_that_spans_have(played: Stack, name: str) -> None:
    for query in blocks(PAGES[name], "traceql"):
        await searched(played, query)  # Tempo refuses what is no query
        for attribute in set(re.findall(r"(?:span|resource)\.[a-z_.]+", query)):
            assert await searched(played, f"{{ {attribute} != nil }}") != [], attribute


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "logql")])
async def test_a_runbooks_question_to_loki_runs(played: Stack, name: str) -> None:
    for query in blocks(PAGES[name], "logql"):
        found = await get(f"{played.loki}/loki/api/v1/query_range", query=query, since="1h")
        assert found["status"] == "success"


async def test_the_variable_offers_the_instance(played: Stack) -> None:
    address = f"{played.prometheus}/api/v1/label/instance/values"
    found = await get(address, **{"match[]": 'up{job="tracegram"}'})

    assert found["data"] == [f"127.0.0.1:{played.ports.bot}"]


async def test_a_dot_of_the_heatmap_opens_its_trace(played: Stack) -> None:
    """As Grafana follows an exemplar: the label that the data source names holds the trace's ID."""
    [destination] = _source("prometheus")["exemplarTraceIdDestinations"]
    query = _filled(buckets(UPDATE_LATENCY))
    now = time.time()
    found = await get(
        f"{played.prometheus}/api/v1/query_exemplars", query=query, start=str(now - 600), end=str(now)
    )
    dots = [dot["labels"][destination["name"]] for one in found["data"] for dot in one["exemplars"]]

    assert dots != []
    for trace_id in dots:
        assert await trace(played, trace_id) != {}


async def test_a_failed_trace_leads_to_its_log_lines_and_its_rates(played: Stack) -> None:
    """As Grafana follows a span: with the attributes of the data source's `tags`, under their names in the other source."""
    failed = await searched(played, "{ status = error }")
    tags = 'service_name="tracegram"'
    source = _source("tempo")
    told = source["tracesToLogsV2"]["query"].replace("$${__tags}", tags)

    assert failed != []
    for cid in failed:
        await eventually(partial(lines, played, told.replace("$${__trace.traceId}", cid)))
    for asked in source["tracesToMetrics"]["queries"]:
        assert await series(played, asked["query"].replace("$$__tags", tags)) != [], asked["name"]


def _source(uid: str) -> Json:
    text = (FOLDER.parent / "provisioning" / "datasources" / "tracegram.yaml").read_text(encoding="utf-8")
    [found] = [source for source in yaml.safe_load(text)["datasources"] if source["uid"] == uid]
    settings: Json = found["jsonData"]
    return settings
