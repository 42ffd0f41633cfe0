"""One update, one trace ID: in Tempo, in Loki, in an exemplar, and in what the bot says to an admin."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from deploy.native.run import Stack
from tests.stack.backends import eventually, get, lines, policies, scopes, trace
from tests.stack.bots import bot


@pytest_asyncio.fixture(loop_scope="function")
async def keeping(stack: Stack) -> AsyncIterator[Stack]:
    """The stack with a Collector that keeps every trace."""
    usual = stack.settings
    await _restart(stack, {**usual, "SAMPLING_PERCENT": "100"})
    yield stack
    await _restart(stack, dict(usual))


async def _restart(stack: Stack, settings: dict[str, str]) -> None:
    await stack.stop("collector")
    stack.settings = settings
    await stack.start("collector")


async def test_the_same_trace_id_is_found_everywhere(keeping: Stack, tmp_path: Path) -> None:
    async with bot(keeping, tmp_path) as here:
        sent = await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.", 60)

        # Loki: the number of the update, which Telegram gave, leads to its trace.
        received = (
            f'{{service_name="tracegram"}} | event_name="UPDATE_RECEIVED" | update_id="{sent["update_id"]}"'
        )
        [(first, _)] = await eventually(lambda: lines(keeping, received))
        cid = first["trace_id"]
        assert await _events(keeping, cid, 4) == [
            "UPDATE_RECEIVED",
            "UI_RENDER",
            "TASK_CREATED",
            "DISPATCH_OK",
        ]

        # Tempo: the whole tree, and the job's own trace, each linked to the other.
        await eventually(lambda: trace(keeping, cid))
        assert await _tree(keeping, cid) == [
            "receive message",
            "  process message",
            "    handle link_received",
            "      sendMessage",
            "      connect",
            "      BEGIN",
            "      INSERT",
            "      UPDATE",
        ]
        kept = await trace(keeping, cid)
        assert policies(kept) == {"exemplars"}
        [job_cid] = _linked(kept)
        job = await eventually(lambda: trace(keeping, job_cid))
        assert (policies(job), set(_linked(job))) == ({"jobs"}, {cid})
        assert await _events(keeping, job_cid, 2) == ["TASK_STARTED", "TASK_COMPLETED"]

        # The exemplar: at the bot's door, and in Prometheus.
        told = [
            line
            for line in (await here.metrics()).splitlines()
            if line.startswith("bot_update_latency_seconds_b")
        ]
        assert [line for line in told if f'trace_id="{cid}"' in line] != []
        assert cid in await eventually(
            lambda: _exemplars(keeping, "bot_update_latency_seconds_bucket", cid), 60
        )

        # The bot itself.
        assert "Kept by policy exemplars." in await here.debug(cid)


async def _events(stack: Stack, cid: str, number: int) -> list[str]:
    """The names of a trace's events in their order, when there are as many."""
    query = f'{{service_name="tracegram"}} | trace_id="{cid}" | event_name!=""'

    async def all_of_them() -> list[str]:
        found = await get(
            f"{stack.loki}/loki/api/v1/query_range", query=query, since="1h", direction="forward"
        )
        told = [
            (at, one["stream"]["event_name"]) for one in found["data"]["result"] for at, _ in one["values"]
        ]
        return [name for _, name in sorted(told)] if len(told) == number else []

    return await eventually(all_of_them)


async def _exemplars(stack: Stack, name: str, cid: str) -> list[str]:
    found = await get(
        f"{stack.prometheus}/api/v1/query_exemplars", query=f'{name}{{job="tracegram"}}', start="0", end="9e9"
    )
    ids = [one["labels"]["trace_id"] for given in found["data"] for one in given["exemplars"]]
    return ids if cid in ids else []


async def _tree(stack: Stack, cid: str) -> list[str]:
    """A trace's spans, each one step further in than its parent, in the order of their start."""
    spans = [span for scope in scopes(await trace(stack, cid)) for span in scope["spans"]]
    spans.sort(key=lambda span: int(span["startTimeUnixNano"]))

    def below(parent: str, depth: int) -> list[str]:
        found = []
        for span in spans:
            if span.get("parentSpanId", "") == parent:
                found += ["  " * depth + span["name"], *below(span["spanId"], depth + 1)]
        return found

    return below("", 0)


def _linked(kept: dict[str, Any]) -> list[str]:
    """The traces that a trace's spans link to; Tempo writes IDs in base64."""
    return [
        base64.b64decode(link["traceId"]).hex()
        for scope in scopes(kept)
        for span in scope["spans"]
        for link in span.get("links", ())
    ]
