"""A part of the stack goes away and comes back: no event and no span of an acknowledged update is lost, no update is slower."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import aiohttp
import pytest

from deploy.native.run import Stack
from tests.stack.backends import eventually, lines, text, trace
from tests.stack.bots import Bot, bot
from tests.stack.otlp import logs, value

#: The Collector is away for the longest; Tempo and Loki differ from it in nothing that takes long.
_AWAY_S = {"tempo": 5.0, "loki": 5.0, "collector": 60.0}
_UPDATES = 30


async def _rejected(here: Bot, menu: int, seconds: float) -> list[int]:
    """Presses that lead to nothing, so that their traces are kept, spread over so many seconds."""
    numbers = []
    for _ in range(_UPDATES):
        numbers.append((await here.alice.press(menu, "no.such", force=True))["update_id"])
        await asyncio.sleep(seconds / _UPDATES)
    return numbers


async def _all_arrive(stack: Stack, numbers: list[int], patience_s: float) -> None:
    """Every update has its events in Loki and its spans in Tempo."""
    query = '{service_name="tracegram"} | event_name="UPDATE_RECEIVED"'

    async def received() -> dict[int, str]:
        found = {int(told["update_id"]): told["trace_id"] for told, _ in await lines(stack, query)}
        return found if set(numbers) <= set(found) else {}

    async def kept() -> bool:
        traces = [await trace(stack, cids[number]) for number in numbers]
        return all(traces)

    cids = await eventually(received, patience_s)
    await eventually(kept, patience_s)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["tempo", "loki", "collector", "collector that crashes"])
async def test_what_is_away_misses_nothing(stack: Stack, tmp_path: Path, name: str) -> None:
    name, _, crashes = name.partition(" ")
    async with bot(stack, tmp_path) as here:
        await here.alice.say("/start")
        menu = (await here.alice.until(lambda m: m["keyboard"]))["message_id"]
        before = await _rejected(here, menu, 3)
        if crashes:
            # The spans that its sampling has not decided about are in its memory alone: a crash costs them.
            await _all_arrive(stack, before, 30)
            stack.kill(name)
        else:
            await stack.stop(name)
        during = await _rejected(here, menu, 5 if crashes else _AWAY_S[name])
        await stack.start(name)

        await _all_arrive(stack, before + during, 90)
        assert 'bot_telemetry_dropped_total{signal="spans"} 0.0' in await here.metrics()


@pytest.mark.timeout(180)
async def test_a_dead_collector_makes_no_answer_slower(stack: Stack, tmp_path: Path) -> None:
    async with bot(stack, tmp_path) as here:
        await here.alice.answer_to("/start")
        with_it = await _seconds(here)
        stack.kill("collector")
        try:
            without = await _seconds(here)
        finally:
            await stack.start("collector")

    # Generous to a busy machine; an export that an answer waits for would cost a second and more.
    assert without < with_it + 0.5


async def _seconds(here: Bot) -> float:
    """The middle of how long it takes from a message to its answer."""
    took = []
    for _ in range(9):
        started = time.perf_counter()
        await here.alice.answer_to("/help")
        took.append(time.perf_counter() - started)
        await asyncio.sleep(1)
    return sorted(took)[len(took) // 2]


async def test_what_no_longer_fits_the_queue_is_counted(stack: Stack) -> None:
    usual = stack.settings
    await stack.stop("loki")
    await stack.stop("collector")
    stack.settings = {**usual, "COLLECTOR_QUEUE_BYTES": "300000"}
    await stack.start("collector")
    try:
        for number in range(20):
            async with aiohttp.ClientSession() as session:
                body = logs({"body": value(f"{number} " + "x" * 60_000)})
                async with session.post(f"{stack.otlp}/v1/logs", json=body) as answer:
                    # The bot takes a refusal as a reason to wait and to try again.
                    assert answer.status in (200, 503)
        told = await text(stack.collector_metrics)
        [lost] = re.findall(
            r'^otelcol_exporter_enqueue_failed_log_records_total\{.*exporter="otlp_http/loki".*\} (\d+)$',
            told,
            re.M,
        )
        assert 10 <= int(lost) < 20
    finally:
        await stack.stop("collector")
        stack.settings = usual
        await stack.start("loki")
        await stack.start("collector")
