"""A trace that the Collector may have dropped goes out once more when it turns out to be wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from app.telemetry.again import sending_again
from app.telemetry.otlp.exporter import Channel, Exporter
from app.telemetry.otlp.sending import Sender
from app.telemetry.otlp.spans import SpanEncoder
from tests.bench.sink import received, running
from tests.kit.bot import World, world
from tests.kit.person import Message
from tests.kit.serving import serving
from tests.kit.telemetry import Captured


@pytest.fixture
async def collector(telemetry: Captured, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A place for what is sent again, which the fixture `telemetry` has none of."""
    with running() as url:
        encoder = SpanEncoder(Resource({"service.name": "tracegram"}), telemetry.telemetry.scrubber.text)
        channel = Channel("spans", encoder, Sender(f"{url}/v1/traces", {}, 5))
        exporter = Exporter(0.05)
        exporter.add(channel)
        exporter.start()
        monkeypatch.setattr(telemetry.telemetry, "again", sending_again(channel.queue))
        yield url
        await asyncio.to_thread(exporter.shutdown)


@asynccontextmanager
async def _tempo(answer: object) -> AsyncIterator[str]:
    async def say(request: web.Request) -> web.Response:
        return web.json_response(answer)

    app = web.Application()
    app.router.add_get("/api/v2/traces/{cid}", say)
    async with serving(app) as url:
        yield url


async def _menu(here: World) -> Message:
    await here.alice.say("/start")
    return await here.alice.until(lambda m: m["keyboard"])


async def _asked(here: World, cid: str) -> str:
    sent = await here.admin.say(f"/debug {cid}")
    answer = await here.admin.until(lambda m: m["message_id"] > sent["message_id"])
    (line,) = [line for line in str(answer["text"]).splitlines() if line.startswith("🗄")]
    return line


async def _sent(telemetry: Captured, collector: str, cid: str, why: str) -> set[tuple[str, str, str]]:
    """What came of a trace, once all that is recorded came: span, parent and name, each marked with the reason."""
    wanted = _recorded(telemetry, cid)
    async with asyncio.timeout(20):
        while not (spans := await asyncio.to_thread(_arrived, collector, cid, why)) >= wanted:
            await asyncio.sleep(0.05)
    return spans


def _arrived(collector: str, cid: str, why: str) -> set[tuple[str, str, str]]:
    body = received(f"{collector}/v1/traces")
    scopes = [s for r in ExportTraceServiceRequest.FromString(body).resource_spans for s in r.scope_spans]
    for scope in scopes:
        assert {a.key: a.value.string_value for a in scope.scope.attributes} == {"tailsampling.policy": why}
    spans = [span for scope in scopes for span in scope.spans if span.trace_id.hex() == cid]
    for span in spans:
        assert [a.value.string_value for a in span.attributes if a.key == "tracegram.keep"] == [why]
    return {(span.span_id.hex(), span.parent_span_id.hex(), span.name) for span in spans}


def _recorded(telemetry: Captured, cid: str) -> set[tuple[str, str, str]]:
    (trace,) = telemetry.telemetry.recorder.find(cid)
    return {(span.span_id, span.parent_id or "", span.name) for span in trace.spans}


async def test_debug_sends_what_tempo_lacks(telemetry: Captured, tmp_path: Path, collector: str) -> None:
    async with _tempo({"trace": {}}) as tempo, world(telemetry, tmp_path, tempo_url=tempo) as here:
        await _menu(here)
        await here.updates_done()
        cid = telemetry.cid_of("receive message")
        said = await _asked(here, cid)
        sent = await _sent(telemetry, collector, cid, "debug")
    assert said == "🗄 Not in Tempo: sampled out, or not there yet. I have sent it again."
    assert sent == _recorded(telemetry, cid)
    assert {name for _, _, name in sent} >= {"receive message", "process message", "sendMessage"}


async def test_debug_sends_nothing_that_tempo_has(
    telemetry: Captured, tmp_path: Path, collector: str
) -> None:
    kept: dict[str, object] = {"trace": {"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}}
    async with _tempo(kept) as tempo, world(telemetry, tmp_path, tempo_url=tempo) as here:
        await _menu(here)
        await here.updates_done()
        assert await _asked(here, telemetry.cid_of("receive message")) == "🗄 In Tempo."
    await asyncio.to_thread(telemetry.telemetry.flush)
    await asyncio.sleep(0.3)
    assert received(f"{collector}/v1/traces") == b""


async def test_a_rejected_press_brings_the_trace_of_its_screen(
    telemetry: Captured, tmp_path: Path, collector: str
) -> None:
    async with world(telemetry, tmp_path) as here:
        menu = await _menu(here)
        await here.updates_done()
        rendered = telemetry.cid_of("receive message")
        assert received(f"{collector}/v1/traces") == b""
        await here.alice.press(menu["message_id"], "he.back", force=True)
        await here.updates_done()
        sent = await _sent(telemetry, collector, rendered, "linked")
    assert sent == _recorded(telemetry, rendered)


async def test_an_update_that_ends_late_goes_out_with_its_end(
    telemetry: Captured, tmp_path: Path, collector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.traces.wanted._LATE_MS", 1000.0)
    async with world(telemetry, tmp_path, update_deadline_s=1.5) as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=5)
        await here.alice.say("hello")
        await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        await here.updates_done()
        cid = telemetry.cid_of("receive message")
        sent = await _sent(telemetry, collector, cid, "late")
    assert {name for _, _, name in sent} >= {"receive message", "process message", "sendMessage"}
