"""The bot with a Collector that hangs, refuses or is not there: the conversation goes on, and `/health` tells of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.sandbox.server import serve
from tests.kit.bot import ALICE, free_port
from tests.kit.person import Person
from tests.kit.programs import start
from tests.kit.serving import serving
from tests.kit.telemetry import TOKEN

_ASKED = 12


class Collector:
    """Answers every export with one status, or with nothing at all."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.asked: dict[str, int] = {}

    async def take(self, request: web.Request) -> web.Response:
        """One export."""
        await request.read()
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        if self.status is None:
            await asyncio.sleep(3600)
        return web.Response(status=self.status or 200)


@asynccontextmanager
async def _listening(collector: Collector) -> AsyncIterator[str]:
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/{signal}", collector.take)
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def _bot(folder: Path, url: str, collector: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    port = free_port()
    process = await start(
        folder,
        "run",
        BOT_TOKEN=TOKEN,
        BOT_API_URL=url,
        WEB_PORT=str(port),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector,
        OTEL_EXPORT_INTERVAL_MS="50",
        DATABASE_URL=f"sqlite:///{folder / 'bot.db'}",
    )
    said: list[bytes] = []

    async def listen() -> None:
        assert process.stdout is not None
        said.extend([line async for line in process.stdout])  # to its end: an unread pipe would stop the bot

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        try:
            yield f"http://127.0.0.1:{port}", said
            process.terminate()
            # It ends in spite of what it still has to send.
            assert await asyncio.wait_for(process.wait(), 20) == 0
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    if process.stderr is not None:
        await process.stderr.read()


async def _health(url: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/health") as answer:
                assert answer.status == 200
                body: dict[str, Any] = await answer.json()
            if until(body["telemetry"]):
                return body
            await asyncio.sleep(0.05)


async def _converse(url: str) -> None:
    async with aiohttp.ClientSession(url) as session:
        alice = Person(session, ALICE)
        for number in range(_ASKED):
            await alice.say(f"hello {number}")
        shown = 0
        async with asyncio.timeout(60):
            while shown < _ASKED:
                shown = len([message for message in await alice.chat() if message["author"] == "bot"])
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["hangs", "answers 503", "is absent"])
async def test_a_collector_that_takes_nothing_costs_no_answer_and_is_told(tmp_path: Path, how: str) -> None:
    collector = Collector({"hangs": None, "answers 503": 503, "is absent": 503}[how])
    async with _listening(collector) as there, serve("127.0.0.1", 0, token=TOKEN) as url:
        address = f"http://127.0.0.1:{free_port()}" if how == "is absent" else there
        async with _bot(tmp_path, url, address) as (bot, said):
            await _converse(url)
            # The update's spans are there: a receive, a process, a handler and a call each at least, kept for later.
            health = await _health(bot, lambda telemetry: telemetry["queue"] >= 4 * _ASKED)
            assert health["status"] == "ok"
            assert set(health["telemetry"]) == {"spans_dropped", "logs_dropped", "metrics_dropped", "queue"}
            assert health["telemetry"]["spans_dropped"] == health["telemetry"]["logs_dropped"] == 0
            numbers = await _numbers(bot)
            assert numbers["otel_sdk_processor_span_queue_size"] >= 2 * _ASKED
            assert numbers["otel_sdk_processor_log_queue_size"] >= _ASKED
            assert numbers["otel_sdk_processor_span_queue_capacity"] == 8192
            assert numbers["otel_sdk_exporter_span_exported_total"] == 0
        lines = [json.loads(line) for line in said]
    if (
        how != "hangs"
    ):  # a request that hangs is refused after five seconds, which the conversation did not last
        complaints = [line["message"] for line in lines if line["logger"] == "app.telemetry.otlp.exporter"]
        assert sorted({message.split(" (")[0] for message in complaints}) == [
            "the Collector does not take logs",
            "the Collector does not take spans",
        ]
    assert [line for line in lines if line["level"] == "ERROR"] == []


async def _recorded(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


async def _numbers(url: str) -> dict[str, float]:
    lines = [line for line in (await _recorded(url)).splitlines() if line[0] != "#"]
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


async def test_what_is_taken_is_counted(tmp_path: Path) -> None:
    async with _listening(Collector(200)) as there, serve("127.0.0.1", 0, token=TOKEN) as url:
        async with _bot(tmp_path, url, there) as (bot, _said):
            await _converse(url)
            async with asyncio.timeout(60):
                while (numbers := await _numbers(bot))["otel_sdk_exporter_span_exported_total"] < 4 * _ASKED:
                    await asyncio.sleep(0.05)
            # Nothing has failed, and says so: an alert asks for an increase, which a first value is not.
            failed = [s for s in numbers if s.startswith("bot_updates_total") and 'outcome="error"' in s]
            assert [numbers[series] for series in failed] == [0.0] * 3
            assert numbers['bot_errors_total{category="telegram"}'] == 0
            await _health(bot, lambda telemetry: telemetry["queue"] == 0)
            assert numbers["otel_sdk_exporter_log_exported_total"] >= 2 * _ASKED
            assert [s for s in numbers if s.startswith("bot_telemetry_dropped") and numbers[s]] == []


async def test_what_is_refused_for_good_is_counted_in_health_and_metric(tmp_path: Path) -> None:
    async with _listening(Collector(400)) as there, serve("127.0.0.1", 0, token=TOKEN) as url:
        async with _bot(tmp_path, url, there) as (bot, _said):
            await _converse(url)
            told = await _health(bot, lambda t: t["queue"] == 0 and t["spans_dropped"] >= 4 * _ASKED)
            async with asyncio.timeout(60):
                while True:
                    numbers = await _numbers(bot)
                    counted = numbers.get('bot_telemetry_dropped_total{signal="spans"}', 0)
                    if counted >= told["telemetry"]["spans_dropped"]:
                        break
                    await asyncio.sleep(0.05)
            assert numbers['bot_telemetry_dropped_total{signal="logs"}'] > 0
