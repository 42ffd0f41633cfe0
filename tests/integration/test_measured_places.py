"""What is measured where: calls of the Bot API by how they end, the pool, the loop, the queue, the process."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import GetMe, GetUpdates, SendMessage, TelegramMethod

from app.bot.middlewares import retry
from app.bot.middlewares.calls import MeasureCalls
from app.bot.middlewares.retry import Retry
from app.bot.presence import watch_pending
from app.db.session import Database
from app.jobs import watch
from app.jobs.watch import QueueWatch
from app.telemetry import instruments, loop_lag
from app.telemetry.catalogue import (
    PENDING_UPDATES,
    PROCESS_CPU,
    PROCESS_FILES,
    PROCESS_MEMORY,
    PROCESS_THREADS,
    QUEUE_DEPTH,
    QUEUE_OLDEST_AGE,
    Metric,
)
from app.telemetry.instruments import Reading
from app.telemetry.loop_lag import watch_loop_lag
from app.telemetry.process import observe_process
from tests.kit.jobs import ask, change, until
from tests.kit.telemetry import TOKEN, Captured

METHOD = SendMessage(chat_id=1, text="x")
ENDS: list[tuple[Any, str]] = [
    (None, "ok"),
    (TelegramBadRequest(METHOD, "x"), "bad_request"),
    (TelegramForbiddenError(METHOD, "x"), "forbidden"),
    (TelegramEntityTooLarge(METHOD, "x"), "too_large"),
    (TelegramRetryAfter(METHOD, "x", 40), "retry_after"),
    (TelegramServerError(METHOD, "x"), "server_error"),
    (TelegramNetworkError(METHOD, "x"), "network_error"),
    (ClientDecodeError("x", ValueError(), "x"), "bad_answer"),
    (ValueError("x"), "other"),
    (asyncio.CancelledError(), "cancelled"),
]


def reading(metric: Metric) -> Reading:
    return instruments._observers[metric.name]()


class Calls:
    """A session that fails as it is told, attempt by attempt."""

    def __init__(self, *ends: BaseException | None) -> None:
        self._ends = list(ends)

    async def __call__(self, bot: Bot, method: TelegramMethod[Any]) -> Any:
        end = self._ends.pop(0)
        if end is not None:
            raise end


@pytest.mark.parametrize(("end", "outcome"), ENDS, ids=[outcome for _, outcome in ENDS])
async def test_a_call_is_measured_by_how_it_ends(
    telemetry: Captured, end: BaseException | None, outcome: str
) -> None:
    with pytest.raises(type(end)) if end is not None else nullcontext():
        await MeasureCalls()(Calls(end), Bot(TOKEN), METHOD)
    grown = telemetry.metrics()
    assert grown["bot.api.request.duration", (("method", "sendMessage"), ("outcome", outcome))] == 1
    limited = outcome == "retry_after"
    assert grown.get(("bot.api.retry.after", (("method", "sendMessage"),)), 0) == (40 if limited else 0)
    assert grown.get(("bot.rate.limit.hits", (("category", "telegram"),)), 0) == limited


async def test_a_long_poll_is_no_latency(telemetry: Captured) -> None:
    await MeasureCalls()(Calls(None), Bot(TOKEN), GetUpdates())
    assert not [name for name, _ in telemetry.metrics() if name.startswith("bot.api")]


async def test_a_wait_that_telegram_asked_for_is_measured_and_no_other(
    telemetry: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_FIRST_BACKOFF_S", 0.0)
    method = GetMe()
    ends = (TelegramServerError(method, "x"), TelegramRetryAfter(method, "x", 0), None)
    await Retry()(Calls(*ends), Bot(TOKEN), method)
    assert telemetry.metrics()["bot.api.throttle.wait", (("method", "getMe"),)] == 1


async def test_the_pool_tells_its_places_and_how_long_it_let_wait(
    database: Database, telemetry: Captured
) -> None:
    async def pinged() -> None:
        async with database.reading() as session:
            await session.connection()
            await asyncio.sleep(0.05)

    async with database.reading() as first, database.reading() as second:
        await first.connection()
        await second.connection()
        places = database.connections()
        assert (places["used"], sum(places.values())) == (2, 20)
    before = telemetry.metrics()["bot.db.pool.wait", ()]
    async with asyncio.TaskGroup() as group:  # more than there are places: some have to wait
        for _ in range(25):
            group.create_task(pinged())
    assert telemetry.metrics()["bot.db.pool.wait", ()] == before + 25
    assert database.connections() == {"used": 0, "idle": 20, "unopened": 0}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_pools_own_log_lines_are_not_told_as_ours(database: Database, telemetry: Captured) -> None:
    await database.ping()
    assert not [line for line in telemetry.lines() if line["logger"].startswith("app.db")]


async def test_a_loop_that_was_blocked_shows_it(telemetry: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "_EVERY_S", 0.01)
    lags: list[float] = []
    monkeypatch.setattr(loop_lag, "record", lambda metric, value: lags.append(value))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch_loop_lag())
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251  # what should not be done
        await asyncio.sleep(0.1)
        task.cancel()
    assert max(lags) >= 0.2
    assert min(lags) >= 0


async def test_the_queue_tells_how_many_wait_and_for_how_long(
    database: Database, telemetry: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_LOOK_EVERY_S", 0.01)
    queue = QueueWatch(database)
    assert (reading(QUEUE_DEPTH), reading(QUEUE_OLDEST_AGE)) == (None, None)

    def age() -> float:
        told = reading(QUEUE_OLDEST_AGE)
        return told["normal"] if isinstance(told, dict) else -1.0

    async def none_waits() -> bool:
        return reading(QUEUE_DEPTH) == {"normal": 0} and age() == 0

    async def two_wait() -> bool:
        return reading(QUEUE_DEPTH) == {"normal": 2} and 60 <= age() < 120

    async def none_is_due() -> bool:
        return reading(QUEUE_DEPTH) == {"normal": 2} and age() == 0

    async with asyncio.TaskGroup() as group:
        task = group.create_task(queue.run())
        await until(none_waits)
        ids = [(await ask(database))[0] for _ in range(2)]
        await change(database, ids[1], available_at=datetime.now(UTC) - timedelta(seconds=61))
        await until(two_wait)
        for job_id in ids:
            await change(database, job_id, available_at=datetime.now(UTC) + timedelta(seconds=61))
        await until(none_is_due)
        task.cancel()


def test_the_process_tells_what_it_uses(tmp_path: Any) -> None:
    observe_process()
    cpu, memory, files, threads = map(reading, (PROCESS_CPU, PROCESS_MEMORY, PROCESS_FILES, PROCESS_THREADS))
    assert cast("float", cpu) > 0
    assert 10_000_000 < cast("float", memory) < 10_000_000_000
    assert cast("float", threads) >= 1
    with (tmp_path / "open").open("w"):
        assert reading(PROCESS_FILES) == cast("float", files) + 1


async def test_what_is_pending_is_told_by_the_leader_alone() -> None:
    class Leaders:
        async def get_webhook_info(self) -> Any:
            return SimpleNamespace(pending_update_count=3)

    task = asyncio.create_task(watch_pending(cast("Bot", Leaders())))  # cancelled below
    await asyncio.sleep(0)  # it has begun
    while reading(PENDING_UPDATES) != 3:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert reading(PENDING_UPDATES) is None
