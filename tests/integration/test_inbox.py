"""The inbox on both databases: what is stored, in which order it is processed, and what becomes of what fails."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text, update

from app.db.line import Line
from app.db.models import JobRow, UpdateRow
from app.db.session import Database
from app.errors import InboxFull, InboxUnavailable
from app.updates import claims, inbox
from app.updates.claims import GivenUp
from app.updates.door import Door, Stored
from app.updates.envelope import read
from app.updates.inbox import Arrival
from app.updates.turn import Turn
from tests.kit.repository import ROOT
from tests.kit.updates import (
    FIRST,
    SECOND,
    Gate,
    Instance,
    Script,
    change_lease,
    instance,
    message,
    pre_checkout,
    press,
    until,
    until_true,
)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)


async def _job(turn: Turn) -> None:
    """A handler with an effect in the database."""
    async with turn.transaction() as session:
        await session.execute(insert(JobRow).values(_job_row(turn.claimed.update_id)))


def _job_row(number: int) -> dict[str, object]:
    now = datetime.now(UTC)
    ids = {"chat_id": number, "reply_to_message_id": 1, "progress_message_id": 1}
    texts = {"language": "en", "url": "https://example.org", "traceparent": "", "created_by": ""}
    return {**ids, **texts, "bitrate": 192, "available_at": now, "created_at": now}


async def _effects(database: Database) -> list[int]:
    async with database.reading() as session:
        return list(await session.scalars(select(JobRow.chat_id).order_by(JobRow.id)))


async def test_an_update_is_stored_once_and_a_second_delivery_learns_of_the_first(database: Database) -> None:
    async with instance(database) as here:
        # Side by side they come into one group.
        together = await asyncio.gather(here.put(message(5)), here.put(message(5), SECOND))
        later = await here.put(message(5), SECOND)
        await here.all_done()
    assert [*together, later] == [Stored(), Stored(first=FIRST), Stored(first=FIRST)]
    assert here.script.ended == [5]


async def test_a_finished_row_keeps_the_story_and_not_the_words(database: Database) -> None:
    async def handle(turn: Turn) -> None:
        turn.handler, turn.outcome, turn.reason = "here.handle", "handled", "SUCCESS"

    async with instance(database, Script({5: handle})) as here:
        await here.put(message(5))
        await here.all_done()
        row = (await here.rows())[5]
    assert (row.state, row.kind, row.attempts, row.epoch) == ("done", "message", 1, 1)
    assert (row.handler, row.outcome, row.reason, row.traceparent) == (
        "here.handle",
        "handled",
        "SUCCESS",
        FIRST,
    )
    assert row.body is None
    assert row.lane is None
    assert row.duration_ms is not None
    assert row.finished_at is not None
    assert row.received_at <= row.finished_at


async def test_words_are_kept_as_long_as_the_setting_says(database: Database) -> None:
    async with instance(database, body_retention_h=1.0) as here:
        await here.put(message(5))
        await here.put(message(6))
        await here.all_done()
        assert [row.body for row in (await here.rows()).values()] == [
            message(5).decode(),
            message(6).decode(),
        ]
        async with database.transaction() as session:
            old = datetime.now(UTC) - timedelta(hours=2)
            await session.execute(update(UpdateRow).where(UpdateRow.update_id == 5).values(finished_at=old))
    # A start forgets what is old.
    async with instance(database, body_retention_h=1.0) as here:

        async def forgotten() -> bool:
            return (await here.rows())[5].body is None

        await until_true(forgotten)
        assert (await here.rows())[6].body == message(6).decode()
    async with instance(database, body_retention_h=0.0) as here:
        # A setting that was made shorter holds for what is there.
        async def none_is_left() -> bool:
            return (await here.rows())[6].body is None

        await until_true(none_is_left)


async def test_much_is_forgotten_in_slices(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.updates.inbox._AT_ONCE_ROWS", 3)
    async with instance(database) as here:
        await asyncio.gather(*(here.put(message(number, number)) for number in range(1, 21)))
        await here.all_done()
    async with database.transaction() as session:
        old = datetime.now(UTC) - timedelta(hours=100)
        await session.execute(update(UpdateRow).where(UpdateRow.update_id > 4).values(received_at=old))
    async with instance(database) as here:

        async def forgotten() -> bool:
            return set(await here.rows()) == {1, 2, 3, 4}

        await until_true(forgotten)


async def test_what_cannot_be_forgotten_is_told(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with instance(database) as here:
        await here.put(message(1))
        await here.all_done()
    async with database.transaction() as session:
        await session.execute(update(UpdateRow).values(received_at=datetime.now(UTC) - timedelta(hours=100)))
        await session.execute(text("CREATE TABLE holds (id BIGINT REFERENCES updates (update_id))"))
        await session.execute(text("INSERT INTO holds VALUES (1)"))
    async with instance(database):
        await until(lambda: "old updates could not be removed (IntegrityError)" in caplog.text)


async def test_a_row_is_forgotten_only_when_telegram_has_forgotten_the_update(database: Database) -> None:
    async with instance(database) as here:
        for number in (5, 6, 7):
            await here.put(message(number))
        await here.all_done()
        async with database.transaction() as session:
            for number, hours in ((5, 26), (6, 24)):
                old = datetime.now(UTC) - timedelta(hours=hours)
                row = update(UpdateRow).where(UpdateRow.update_id == number)
                await session.execute(row.values(received_at=old))
        # A shorter retention does not bring duplicates back.
    async with instance(database, row_retention_h=1.0) as here:

        async def forgotten() -> bool:
            return 5 not in await here.rows()

        await until_true(forgotten)
        assert set(await here.rows()) == {6, 7}


async def test_one_chat_in_order_and_the_others_beside_it(database: Database) -> None:
    gate = Gate()
    async with instance(database, Script({1: gate})) as here:
        for number, chat in ((1, 10), (2, 10), (3, 20), (4, 10), (5, 30)):
            await here.put(message(number, chat))
        expected = {1: "running", 2: "waiting", 3: "done", 4: "waiting", 5: "done"}

        async def others_done() -> bool:
            return await here.states() == expected

        await until_true(others_done)
        gate.open.set()
        await here.all_done()
        assert [number for number in here.script.ended if number in (1, 2, 4)] == [1, 2, 4]


async def test_a_press_stays_in_order_with_its_chat_and_is_answered_while_it_waits(
    database: Database,
) -> None:
    gate = Gate()
    async with instance(database, Script({1: gate})) as here:
        await here.put(message(1, chat=10))
        await here.put(press(2, chat=10), SECOND)
        await until(lambda: here.script.hurried == [SECOND])
        await asyncio.sleep(0.4)
        assert here.script.hurried == [SECOND]  # once
        assert here.script.begun == [1]
        gate.open.set()
        await here.all_done()
    assert here.script.ended == [1, 2]


async def test_presses_that_wait_are_answered_some_at_a_time_and_old_ones_not_at_all(
    database: Database,
) -> None:
    """Telegram refuses the answer to an old press, and floods of answers."""
    gate = Gate()
    async with instance(database, Script({1: gate}), active=False) as here:
        await change_lease(database, holder="another", epoch=1, expires_at=time.time() + 3600)
        await until(lambda: here.updates.lease.state == "PASSIVE")
        for number in range(1, 101):
            await here.put(press(number) if number > 1 else message(number), SECOND)
        async with database.transaction() as session:
            old = datetime.now(UTC) - timedelta(seconds=151)
            await session.execute(update(UpdateRow).where(UpdateRow.update_id > 60).values(received_at=old))
        await change_lease(database, expires_at=0.0)
        await gate.reached.wait()
        await until(lambda: here.script.hurried)
        assert len(here.script.hurried) <= claims.HURRIED_AT_ONCE
        await until(lambda: len(here.script.hurried) == 59)
        await asyncio.sleep(1.2)  # one sweep more
        assert len(here.script.hurried) == 59
        gate.open.set()
        await here.all_done()


async def test_a_checkout_waits_for_nobody(database: Database) -> None:
    gates = {number: Gate() for number in range(1, 5)}
    async with instance(database, Script(dict(gates)), concurrency=4) as here:
        for number in gates:
            await here.put(message(number, chat=number))
        await asyncio.gather(*(gate.reached.wait() for gate in gates.values()))
        await here.put(message(5, chat=5))
        await here.put(pre_checkout(6, user=1))
        await until(lambda: here.script.ended == [6])
        assert 5 not in here.script.begun
        for gate in gates.values():
            gate.open.set()
        await here.all_done()


async def test_a_checkout_overtakes_whatever_waits_before_it(database: Database) -> None:
    """Although places become free all the time, and who waits longest would get each of them."""
    waiting = range(1, 201)
    await change_lease(database, holder="another", epoch=1, expires_at=time.time() + 3600)
    async with instance(database, active=False, concurrency=2) as here:
        for number in waiting:
            await here.put(message(number, chat=number))
        await here.put(pre_checkout(1000, user=1))
        await change_lease(database, expires_at=0.0)
        await here.all_done()
    assert here.script.begun[0] == 1000
    assert sorted(here.script.begun) == [*waiting, 1000]


async def test_the_effect_and_the_end_are_one_transaction(database: Database) -> None:
    async def fail_late(turn: Turn) -> None:
        async with turn.transaction() as session:
            await session.execute(insert(JobRow).values(_job_row(turn.claimed.update_id)))
            if turn.claimed.attempt == 1:
                turn.try_again(RuntimeError(), passing=False)
                raise RuntimeError

    async with instance(database, Script({1: fail_late, 2: _job})) as here:
        await here.put(message(1))
        await here.put(message(2))
        await here.all_done()
        rows = await here.rows()
    assert await _effects(database) == [1, 2]
    assert {number: (row.state, row.attempts) for number, row in rows.items()} == {
        1: ("done", 2),
        2: ("done", 1),
    }


async def test_a_poisonous_update_is_set_aside_and_its_chat_goes_on(database: Database) -> None:
    async def fail(turn: Turn) -> None:
        raise ValueError

    async with instance(database, Script({1: fail})) as here:
        await here.put(message(1))
        await here.put(message(2))
        await here.all_done()
        rows = await here.rows()
    assert here.script.begun == [1, 1, 1, 2]
    assert here.script.given_up == [GivenUp(1, "message", FIRST, 3, "ValueError", "INTERNAL_ERROR")]
    assert {number: row.state for number, row in rows.items()} == {1: "set_aside", 2: "done"}
    assert rows[1].body == message(1).decode()  # for people to look at


async def test_what_was_set_aside_is_tried_again_in_its_place_and_with_all_its_tries(
    database: Database,
) -> None:
    """By the statement of the document it ran beside its own chat, and the next short outage set it aside once more."""
    document = (ROOT / "docs" / "two-instances.md").read_text()
    (again,) = re.findall(r"UPDATE updates SET .*\.\.\.;", document)
    faults: list[tuple[Exception, bool]] = [(ValueError(), False)] * 3 + [(OSError(), True)]

    async def fail(turn: Turn) -> None:
        if faults:
            error, passing = faults.pop(0)
            turn.try_again(error, passing=passing)

    gate = Gate()
    async with instance(database, Script({1: fail, 2: gate})) as here:
        await here.put(message(1))
        await until(lambda: here.script.given_up)
        await here.put(message(2))
        await gate.reached.wait()
        await here.put(message(3))
        async with database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(hours=2)
            await session.execute(update(UpdateRow).values(attempts=12, received_at=long_ago))
            await session.execute(text(again.replace("...", "1")))
        await asyncio.sleep(1.5)  # longer than the leader goes without a look
        assert here.script.begun == [1, 1, 1, 2]
        gate.open.set()
        await here.all_done()
        row = (await here.rows())[1]
    assert here.script.begun == [1, 1, 1, 2, 1, 1, 3]
    assert (row.state, row.attempts, row.failures, row.lane) == ("done", 2, 0, None)


async def test_a_handler_whose_help_was_cancelled_does_not_hold_up_its_chat(database: Database) -> None:
    async def fail(turn: Turn) -> None:
        help_ = asyncio.create_task(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(help_.cancel)
        await help_

    async with instance(database, Script({1: fail})) as here:
        await here.put(message(1))
        await here.put(message(2))
        await here.all_done()
        states = await here.states()
    assert here.script.begun == [1, 1, 1, 2]
    assert states == {1: "set_aside", 2: "done"}


async def test_a_chat_does_not_wait_until_people_were_told(database: Database) -> None:
    told = asyncio.Event()

    class Slow(Script):
        async def give_up(self, update: GivenUp) -> None:
            await told.wait()
            await super().give_up(update)

    async def fail(turn: Turn) -> None:
        raise ValueError

    async with instance(database, Slow({1: fail})) as here:
        await here.put(message(1))
        await here.put(message(2))
        await here.all_done()
        assert (await here.states(), here.script.given_up) == ({1: "set_aside", 2: "done"}, [])
        told.set()
        await until(lambda: here.script.given_up)


@pytest.mark.parametrize("fault", [OSError, TimeoutError, RuntimeError])
async def test_whatever_goes_wrong_with_the_news_stops_nothing(
    database: Database, fault: type[Exception]
) -> None:
    class Dumb(Script):
        async def give_up(self, update: GivenUp) -> None:
            await super().give_up(update)
            raise fault

    async def fail(turn: Turn) -> None:
        raise ValueError

    async with instance(database, Dumb({1: fail})) as here:
        await here.put(message(1))
        await until(lambda: here.script.given_up)
        await here.put(message(2))
        await here.all_done()
        states = await here.states()
    assert states == {1: "set_aside", 2: "done"}
    assert len(here.script.given_up) == 1


async def test_an_update_that_its_process_never_survives_is_set_aside(database: Database) -> None:
    async with instance(database, active=False) as here:
        pass
    line = Line(database)
    await inbox.store(line, [Arrival(read(message(n)), FIRST) for n in (1, 2)])
    await line.close()
    async with database.transaction() as session:
        # As nine, and ten, killed leaders leave it.
        for number, attempts in ((1, 10), (2, 9)):
            row = update(UpdateRow).where(UpdateRow.update_id == number)
            await session.execute(
                row.values(state="running", epoch=0, attempts=attempts, deaths=attempts - 1)
            )
    async with instance(database) as here:
        await here.all_done()
        rows = await here.rows()
    assert here.script.given_up == [GivenUp(1, "message", FIRST, 10, "ProcessDied", "INTERNAL_ERROR")]
    assert {number: (row.state, row.attempts, row.deaths) for number, row in rows.items()} == {
        1: ("set_aside", 10, 10),
        2: ("done", 10, 9),
    }


async def test_deaths_and_outages_do_not_count_as_failures(database: Database) -> None:
    """A rolling restart, and an hour without Telegram, must not set aside what then fails once."""
    faults: list[tuple[Exception, bool]] = [(OSError(), True)] * 4 + [(RuntimeError(), False)] * 2

    async def fail(turn: Turn) -> None:
        if faults:
            error, passing = faults.pop(0)
            assert turn.try_again(error, passing=passing)

    async with instance(database, active=False) as here:
        pass
    line = Line(database)
    await inbox.store(line, [Arrival(read(message(1)), FIRST)])
    await line.close()
    async with database.transaction() as session:
        await session.execute(update(UpdateRow).values(state="running", epoch=0, attempts=5, deaths=4))
    async with instance(database, Script({1: fail})) as here:
        await here.all_done()
        (row,) = (await here.rows()).values()
    assert here.script.given_up == []
    assert (row.state, row.attempts, row.failures, row.deaths) == ("done", 5 + 7, 2, 5)


async def test_an_outage_is_waited_for_but_not_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.updates.patience._PASSING_S", 3.0)

    async def fail(turn: Turn) -> None:
        turn.try_again(OSError(), passing=True)

    began = time.monotonic()
    async with instance(database, Script({1: fail})) as here:
        await here.put(message(1))
        await here.put(message(2))
        await here.all_done()
        rows = await here.rows()
    assert time.monotonic() - began > 3.0
    assert {number: (row.state, row.failures) for number, row in rows.items()} == {
        1: ("set_aside", 0),
        2: ("done", 0),
    }
    assert rows[1].attempts > 10


@pytest.mark.parametrize("asked_s", [1e13, float("inf")])
async def test_a_pause_that_no_clock_can_hold_stops_nobody_else(database: Database, asked_s: float) -> None:
    async def fail(turn: Turn) -> None:
        assert turn.try_again(OSError(), passing=True, not_before_s=asked_s)

    async with instance(database, Script({1: fail})) as here:
        await here.put(message(1))
        await until(lambda: here.script.ended)
        await here.put(message(2, chat=2))
        await until(lambda: here.script.ended == [1, 2])
        await until_true(lambda: _is(here, {1: "waiting", 2: "done"}))


async def _is(here: Instance, states: dict[int, str]) -> bool:
    return await here.states() == states


async def test_nobody_comes_again_before_he_was_told_to(database: Database) -> None:
    tried: list[float] = []

    async def fail(turn: Turn) -> None:
        tried.append(time.monotonic())
        if len(tried) == 1:
            turn.try_again(OSError(), passing=True, not_before_s=1.5)

    async with instance(database, Script({1: fail})) as here:
        await here.put(message(1))
        await here.all_done()
    first, second = tried
    assert second - first >= 1.4


async def test_what_a_leader_left_running_is_done_by_the_next_one(database: Database) -> None:
    left = Gate()
    async with instance(database, Script({1: left}), expiry_s=60.0, heartbeat_s=20.0) as first:
        await first.put(message(1))
        await left.reached.wait()
        # It is cut off from the lease, as one that froze: another may take over.
        await change_lease(database, expires_at=0.0, epoch=7, holder=None)
        async with instance(database, Script({1: _job})) as second:
            await second.all_done()
            assert second.script.ended == [1]
        left.open.set()
    assert await _effects(database) == [1]


async def test_a_frozen_leader_that_wakes_cannot_write(database: Database) -> None:
    asleep, awake = asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    async def freeze(turn: Turn) -> None:
        asleep.set()
        # The lease is lost meanwhile, and the cancellation with it does not reach who is frozen.
        await _uninterrupted(awake)
        try:
            await _job(turn)
        except Exception as error:
            ends.append(type(error).__qualname__)
            raise

    async with instance(database, Script({1: freeze}), expiry_s=60.0, heartbeat_s=20.0) as old:
        await old.put(message(1))
        await asleep.wait()
        await change_lease(database, expires_at=0.0)
        async with instance(database, Script({1: _job}), expiry_s=60.0, heartbeat_s=20.0) as new:
            await new.all_done()
            awake.set()
            await until(lambda: bool(ends))
            assert ends == ["Superseded"]
            assert await _effects(database) == [1]
            assert new.script.ended == [1]


async def _uninterrupted(event: asyncio.Event) -> None:
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            continue


async def test_a_full_inbox_says_so_and_takes_more_when_it_is_emptier(database: Database) -> None:
    gate = Gate()
    async with instance(database, Script({1: gate}), inbox_limit=3) as here:
        for number in (1, 2, 3):
            await here.put(message(number))
        with pytest.raises(InboxFull):
            await here.put(message(4))
        # A checkout has ten seconds, which it would spend on coming again.
        assert await here.put(pre_checkout(6, user=1)) == Stored()
        await until(lambda: here.script.ended == [6])
        gate.open.set()
        await here.all_done()

        async def takes() -> bool:
            try:
                return await here.put(message(5)) == Stored()
            except InboxFull:
                return False

        await until_true(takes)


async def _untold(line: Line, press: bool) -> None:
    """Nobody waits for it."""


async def test_a_database_that_refuses_makes_the_door_say_so(database: Database) -> None:
    door = Door(database, 10, on_stored=_untold)
    with pytest.raises(InboxUnavailable):
        await door.put(Arrival(read(message(1)), FIRST))  # not open yet
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE updates RENAME TO gone"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(door.run())
        await asyncio.sleep(0)
        with pytest.raises(InboxUnavailable):
            await door.put(Arrival(read(message(1)), FIRST))
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO updates"))
        assert await door.put(Arrival(read(message(1)), FIRST)) == Stored()
        running.cancel()


@pytest.mark.parametrize(
    ("body", "lane"),
    [
        (message(1, chat=-100), -100),
        (press(1, chat=-100), -100),
        (pre_checkout(1), None),
        (json.dumps({"update_id": 1, "inline_query": {"id": "1", "from": {"id": 9}}}).encode(), 9),
        (json.dumps({"update_id": 1, "callback_query": {"id": "1", "from": {"id": 9}}}).encode(), 9),
        (json.dumps({"update_id": 1, "poll": {"id": "1"}}).encode(), None),
        (json.dumps({"update_id": 1, "message": {"chat": {"id": 2**70}}}).encode(), None),
        (json.dumps({"update_id": 1, "message": 5}).encode(), None),
        (b'{"update_id": 1}', None),
    ],
)
def test_what_an_update_stays_in_order_with(body: bytes, lane: int | None) -> None:
    assert read(body).lane == lane
