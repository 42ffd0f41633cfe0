"""What `/debug` learns from Tempo, asked over real HTTP: whether it has a trace, and which policy kept it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from app.traces import tempo
from app.traces.tempo import Kept, Tempo
from tests.kit.bot import free_port
from tests.kit.serving import serving

CID = "4bf92f3577b34da6a3ce929d0e0e4736"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def scope(*policies: str, spans: int = 1) -> dict[str, Any]:
    attributes = [{"key": "tailsampling.policy", "value": {"stringValue": policy}} for policy in policies]
    return {
        "scope": {"name": "app", "attributes": [{"key": "other", "value": {"intValue": "1"}}, *attributes]},
        "spans": [{"traceId": "S/kvNXezTaajzpKdDg5HNg==", "spanId": "AAAAAAAAAAE=", "name": "receive message"}] * spans,
    }  # fmt: skip


def trace(*scopes: dict[str, Any]) -> dict[str, Any]:
    """As Tempo writes it: OTLP JSON below `trace`, ids in base64."""
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "tracegram"}}]}
    return {"trace": {"resourceSpans": [{"resource": service, "scopeSpans": [*scopes]}]}, "metrics": {}}


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """An HTTP server that answers like Tempo at the one address that is asked for."""
    app = web.Application()
    app.router.add_get("/tempo/api/v2/traces/" + CID, answer)
    async with serving(app) as url:
        yield f"{url}/tempo"


async def asked(body: Any, status: int = 200) -> Kept:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Accept"] == "application/json"
        assert not {"traceparent", "baggage"} & set(request.headers)
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, content_type="application/json")

    async with answering(answer) as url:
        return await Tempo(url).ask(CID)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (trace(scope("errors")), Kept("kept", ("errors",))),
        (trace(scope("errors"), scope("errors"), scope("slow")), Kept("kept", ("errors", "slow"))),
        (trace(scope()), Kept("kept")),
        (trace(scope("x" * 500)), Kept("kept", ("x" * 64,))),
        ({"trace": {}}, Kept("absent")),
        ({}, Kept("absent")),
        (trace(scope("errors", spans=0)), Kept("absent")),
    ],
    ids=["policy", "several", "unnamed", "long", "unknown id", "nothing", "no span"],
)
async def test_what_tempo_has(body: dict[str, Any], kept: Kept) -> None:
    assert await asked(body) == kept


@pytest.mark.parametrize(
    "body",
    [
        [],
        "null",
        '"text"',
        {"trace": {"resourceSpans": [None, 1, {"scopeSpans": "x"}, {"scopeSpans": [None, {"spans": {}}]}]}},
        {"trace": {"resourceSpans": [{"scopeSpans": [{"scope": [], "spans": []}]}]}},
    ],
)
async def test_an_answer_of_another_form_has_no_span(body: Any) -> None:
    assert await asked(body) == Kept("absent")


async def test_broken_attributes_are_no_policy() -> None:
    broken = scope("errors")
    broken["scope"]["attributes"] = [
        None,
        {"key": "tailsampling.policy", "value": {"intValue": "1"}},
        {"key": []},
    ]
    assert await asked(trace(broken)) == Kept("kept")


async def test_an_older_tempo_says_404() -> None:
    assert await asked("trace not found", 404) == Kept("absent")


@pytest.mark.parametrize(
    ("body", "status"),
    [("no JSON", 200), ("[" * 100_000, 200), ("", 200), ("", 301), ("", 401), ("", 500)],
)
async def test_no_usable_answer(body: str, status: int) -> None:
    assert await asked(body, status) == Kept("silent")


async def test_a_tempo_that_does_not_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempo, "_PATIENCE_S", 0.2)

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with answering(answer) as url:
        assert await Tempo(url).ask(CID) == Kept("silent")


async def test_nobody_listens() -> None:
    assert await Tempo(f"http://127.0.0.1:{free_port()}").ask(CID) == Kept("silent")


async def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempo, "_READ_AT_MOST", 100_000)
    written = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 10_000)
            written += 10_000

    async with answering(answer) as url:
        assert await Tempo(url).ask(CID) == Kept("kept")
    assert written < 50_000_000
