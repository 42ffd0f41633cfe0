"""Questions to Tempo, Loki and Prometheus by their public APIs, as Grafana asks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from deploy.native.run import Stack

Json = dict[str, Any]
_T = TypeVar("_T")
_PATIENCE_S = 30.0


async def get(url: str, **parameters: str) -> Any:
    """What an address answers, as JSON; it must be 200."""
    async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None)


async def text(url: str) -> str:
    """What an address answers, as text; it must be 200."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def reload(stack: Stack) -> None:
    """Let Prometheus read its configuration once more."""
    async with aiohttp.ClientSession() as session, session.post(f"{stack.prometheus}/-/reload") as answer:
        assert answer.status == 200, await answer.text()


async def eventually(ask: Callable[[], Awaitable[_T]], patience_s: float = _PATIENCE_S) -> _T:
    """Ask until the answer is not empty, and give it."""
    deadline = time.monotonic() + patience_s
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"nothing came in {patience_s:.0f} s"
        await asyncio.sleep(0.2)
    return answer


async def trace(stack: Stack, trace_id: str) -> Json:
    """A trace as Tempo keeps it; empty when it has no span of it (it may answer 404, or 200 and nothing)."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{stack.tempo}/api/v2/traces/{trace_id}") as answer:
            if answer.status == 404:
                return {}
            assert answer.status == 200, await answer.text()
            found: Json = await answer.json()
    kept: Json = found.get("trace") or {}
    return kept if kept.get("resourceSpans") else {}


async def searched(stack: Stack, query: str) -> list[str]:
    """The IDs of the traces that Tempo finds, newest first; it leaves out the zeros that an ID begins with."""
    found = await get(f"{stack.tempo}/api/search", q=query)
    return [one["traceID"].zfill(32) for one in found.get("traces", [])]


def scopes(kept: Json) -> list[Json]:
    """The scopes of a trace, each with its spans."""
    return [scope for resource in kept.get("resourceSpans", ()) for scope in resource["scopeSpans"]]


def span_names(kept: Json) -> list[str]:
    """The names of a trace's spans, sorted."""
    return sorted(span["name"] for scope in scopes(kept) for span in scope["spans"])


def policies(kept: Json) -> set[str]:
    """Which policies kept it: one for each scope."""
    return {
        attribute["value"]["stringValue"]
        for scope in scopes(kept)
        for attribute in scope["scope"].get("attributes", ())
        if attribute["key"] == "tailsampling.policy"
    }


async def lines(stack: Stack, query: str) -> list[tuple[Json, str]]:
    """What Loki finds in the last hour: labels with structured metadata, and the line."""
    found = await get(f"{stack.loki}/loki/api/v1/query_range", query=query, limit="5000", since="1h")
    return [(stream["stream"], line) for stream in found["data"]["result"] for _, line in stream["values"]]


async def series(stack: Stack, query: str) -> list[Json]:
    """What Prometheus finds now."""
    found = await get(f"{stack.prometheus}/api/v1/query", query=query)
    result: list[Json] = found["data"]["result"]
    return result
