"""The lease on both databases: who is ACTIVE, how the next one takes over, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import asyncpg
import pytest
from opentelemetry.trace import format_trace_id

from app.db.migrate import migrate
from app.db.session import Database
from app.updates import bell
from app.updates.bell import UPDATES, Bell, ring_in
from app.updates.turn import Turn
from tests.kit.relay import relay
from tests.kit.telemetry import Captured
from tests.kit.updates import FIRST, Gate, Script, change_lease, instance, message, until, until_active


def _events(telemetry: Captured) -> list[list[dict[str, Any]]]:
    """The events of each trace of a take-over, without what differs from run to run."""
    cids = [format_trace_id(s.context.trace_id) for s in telemetry.spans() if s.name == "lease takeover"]
    return [
        [{k: v for k, v in e.items() if k not in ("logger", "silent_ms")} for e in telemetry.events(cid)]
        for cid in cids
    ]


async def test_one_leads_and_the_other_stores_for_it(telemetry: Captured, database: Database) -> None:
    async with instance(database) as first, instance(database, active=False) as second:
        await second.put(message(1))
        await first.all_done()
        assert (first.updates.lease.state, second.updates.lease.state) == ("ACTIVE", "PASSIVE")
        assert (first.script.ended, second.script.ended) == ([1], [])
    assert _events(telemetry)[0] == [
        {"name": "LOCK_ACQUIRED", "epoch": 1, "how": "free"},
        {"name": "LOCK_RELEASED", "epoch": 1},
    ]


async def test_a_stop_hands_over_at_once_and_finishes_what_it_began(
    telemetry: Captured, database: Database
) -> None:
    gate = Gate()
    async with (
        instance(database, Script({1: gate}), expiry_s=60.0, heartbeat_s=20.0) as first,
        instance(database, active=False, expiry_s=60.0, heartbeat_s=20.0) as second,
    ):
        await first.put(message(1, chat=1))
        await first.put(message(2, chat=1))
        await gate.reached.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(first.stop())
            await until_active(second)  # long before the lease would run out
            await second.put(message(3, chat=3))
            await until(lambda: second.script.ended == [3])
            assert first.script.ended == []  # it still drains, and its chat waits for it
            assert (await second.states())[2] == "waiting"
            gate.open.set()
        await second.all_done()
    assert first.script.ended == [1]
    assert second.script.ended == [3, 2]
    rows = await second.rows()
    assert {n: (row.state, row.attempts, row.epoch) for n, row in rows.items()} == {
        1: ("done", 1, 1),
        2: ("done", 1, 2),
        3: ("done", 1, 2),
    }
    assert _events(telemetry) == [
        [{"name": "LOCK_ACQUIRED", "epoch": 1, "how": "free"}, {"name": "LOCK_RELEASED", "epoch": 1}],
        [{"name": "LOCK_ACQUIRED", "epoch": 2, "how": "handed over"}, {"name": "LOCK_RELEASED", "epoch": 2}],
    ]
    assert ("bot.lock.takeovers", ()) not in telemetry.metrics()


async def test_a_draining_instance_rings_for_what_has_ended_only(database: Database) -> None:
    """It hears its own bell: ringing at each look, it would wake itself, and the next leader, hundreds of times."""
    if not database.notifies:
        return
    heard: list[str] = []
    gate = Gate()

    async def handle(turn: Turn) -> None:
        await gate(turn)
        async with turn.transaction():
            pass

    listener = Bell(database, heard.append)
    async with (
        instance(database, Script({1: handle})) as first,
        instance(database, active=False) as second,
        asyncio.TaskGroup() as group,
    ):
        listening = group.create_task(listener.run())
        await first.put(message(1))
        await gate.reached.wait()
        # It listens when it hears something.
        while not heard:
            await _ring(database)
        group.create_task(first.stop())
        await until_active(second)
        await asyncio.sleep(0.3)
        heard.clear()
        await asyncio.sleep(0.5)
        assert heard == []
        gate.open.set()
        await second.all_done()
        await until(lambda: heard[:1] == [UPDATES])
        listening.cancel()


@pytest.mark.parametrize("error", [ConnectionResetError, asyncpg.InternalClientError])
async def test_the_bell_outlives_whatever_the_driver_raises(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """asyncpg says `InternalClientError`, which is no relative of its other errors, when a server dies at the wrong moment."""
    if not database.notifies:
        return
    heard: list[str] = []
    real, tries = asyncpg.connect, iter([error, error])

    async def connect(*arguments: Any, **options: Any) -> Any:
        if failure := next(tries, None):
            raise failure
        return await real(*arguments, **options)

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(bell, "_PAUSE_S", 0.05)
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(Bell(database, heard.append).run())
        await until(lambda: len(heard) == 4)  # after each loss it looks for itself
        heard.clear()
        while not heard:
            assert not listening.done()
            await _ring(database)
        listening.cancel()
    assert set(heard) == {"test"}


async def _ring(database: Database) -> None:
    async with database.transaction() as session:
        await ring_in(session, "test")
    await asyncio.sleep(0.01)


async def test_a_stop_amid_a_take_over_hands_over_at_once(postgres_url: str) -> None:
    """Whether its COMMIT arrived nobody knows: the lease would run out by itself, a minute later."""
    async with relay(postgres_url) as through:
        slow, database = Database(through.url), Database(postgres_url)
        await migrate(database)
        through.hold_the_commit_of(b"UPDATE lock_heartbeat", 1.0)
        began = time.monotonic()
        async with instance(slow, active=False, expiry_s=60.0, heartbeat_s=20.0) as first:
            await until(lambda: through.held)
            await first.stop()
            stopped_s = time.monotonic() - began
            async with instance(database, expiry_s=60.0, heartbeat_s=20.0) as second:
                assert second.updates.lease.seen is not None
                took_s = time.monotonic() - began
        await slow.close()
        await database.close()
    assert stopped_s < 5
    assert took_s < 10


async def test_what_does_not_end_in_time_is_the_next_ones(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.updates.lease.DRAIN_S", 0.3)
    async with (
        instance(database, Script({1: Gate()})) as first,
        instance(database, active=False) as second,
    ):
        await first.put(message(1))
        await until(lambda: first.script.begun == [1])
        await first.stop()
        await second.all_done()
        assert second.script.ended == [1]
        assert (await second.rows())[1].attempts == 2


async def test_a_silent_leader_is_replaced_and_learns_of_it(telemetry: Captured, database: Database) -> None:
    async with instance(database, heartbeat_s=0.3, expiry_s=1.0) as first:
        # Its heartbeats stop for longer than the expiry: a process that is stopped, a network that is cut.
        async with _silenced(first.updates.lease):
            async with instance(database, heartbeat_s=1.0, expiry_s=15.0) as second:
                assert second.updates.lease.seen is not None
                assert (second.updates.lease.seen.epoch, second.updates.lease.seen.holder_pid) == (
                    2,
                    os.getpid(),
                )
                takeover = f"epoch 2: expired, from pid {os.getpid()}"
                assert second.updates.lease.health()["lock_takeover_event"] == takeover
                await until(lambda: first.updates.lease.state == "PASSIVE")
        assert telemetry.metrics()["bot.lock.takeovers", ()] == 1
    told = _events(telemetry)
    assert told[0][:2] == [
        {"name": "LOCK_ACQUIRED", "epoch": 1, "how": "free"},
        {"name": "LOCK_LOST", "epoch": 1},
    ]
    assert told[1][0] == {"name": "LOCK_ACQUIRED", "epoch": 2, "how": "expired"}


class _silenced:
    """A lease whose renewals do not come through, until the block ends."""

    def __init__(self, lease: Any) -> None:
        self._lease = lease

    async def __aenter__(self) -> None:
        async def lost(epoch: int) -> bool:
            await asyncio.sleep(1.5)
            return bool(await type(self._lease)._renew(self._lease, epoch))

        self._lease._renew = lost

    async def __aexit__(self, *_: object) -> None:
        del self._lease._renew


async def test_a_clock_that_is_put_back_does_not_delay_the_take_over(database: Database) -> None:
    """The dead leader's lease runs out an hour from now, by a clock that was an hour ahead when it wrote it."""
    ahead = time.time() + 3600
    async with instance(database, active=False):
        pass
    dead = {"holder": "dead", "holder_pid": 1, "epoch": 5}
    await change_lease(database, **dead, last_heartbeat=ahead, expires_at=ahead + 1.0)
    began = time.monotonic()
    async with instance(database) as here:
        took_s = time.monotonic() - began
        assert here.updates.lease.seen is not None
        assert here.updates.lease.seen.epoch == 6
    assert 1.0 <= took_s < 3.0


async def test_a_leader_whose_clock_was_put_back_keeps_the_lease_while_it_lives(database: Database) -> None:
    ahead = time.time() + 3600
    async with instance(database, active=False):
        pass
    alive = {"holder": "alive", "holder_pid": 1, "epoch": 5}
    await change_lease(database, **alive, last_heartbeat=ahead, expires_at=ahead + 1.0)
    async with instance(database, active=False) as here:
        for number in range(10):  # its heartbeats go backwards, as its clock does
            await asyncio.sleep(0.3)
            heartbeat = ahead - number
            await change_lease(database, last_heartbeat=heartbeat, expires_at=heartbeat + 1.0)
        assert here.updates.lease.seen is not None
        assert (here.updates.lease.state, here.updates.lease.seen.epoch) == ("PASSIVE", 5)


async def test_of_many_one_wins(telemetry: Captured, database: Database) -> None:
    async with instance(database), instance(database, active=False), instance(database, active=False):
        await asyncio.sleep(0.5)
        await change_lease(database, expires_at=0.0)
        await asyncio.sleep(1.5)
    epochs = [chain[0]["epoch"] for chain in _events(telemetry)]
    assert epochs == sorted(set(epochs))  # each epoch was won once


async def test_health_names_the_holder_and_its_age(database: Database) -> None:
    async with instance(database, heartbeat_s=5.0, expiry_s=15.0) as here:
        await here.put(message(1), FIRST)
        health = here.updates.lease.health()
        assert health.pop("last_heartbeat").endswith("Z")
        assert 0 <= health.pop("lock_heartbeat_age") < 5
        assert 0 <= health.pop("lock_idle_duration") < 5
        assert health == {
            "lock_state": "ACTIVE",
            "lock_epoch": 1,
            "lock_holder_pid": os.getpid(),
            "lock_takeover_event": "first start",
        }
