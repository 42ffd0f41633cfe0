"""Updates through the doors of a whole bot: duplicates, a PASSIVE instance, late presses, failures, a full inbox."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, format_trace_id
from sqlalchemy import text, update

from app.db.migrate import migrate
from app.db.models import UpdateRow
from app.db.session import Database
from app.telemetry.context import support_code
from app.telemetry.identity import hashed
from tests.e2e.test_webhook import PATH, SECRET, UPDATE
from tests.kit.bot import ADMIN, ALICE, World, world
from tests.kit.relay import relay
from tests.kit.silence import way
from tests.kit.telemetry import TOKEN, Captured
from tests.kit.updates import change_lease

Chain = list[dict[str, Any]]


def _chain(telemetry: Captured, cid: str) -> Chain:
    volatile = ("logger", "latency_ms")
    return [{k: v for k, v in event.items() if k not in volatile} for event in telemetry.events(cid)]


def _received(update_id: int, kind: str, door: str = "polling", state: str = "ACTIVE") -> dict[str, Any]:
    told = {"update_id": update_id, "update_type": kind, "door": door, "bot_state": state}
    return {"name": "UPDATE_RECEIVED", **told}


def _press(update_id: int, message_id: int, data: str) -> dict[str, Any]:
    message = UPDATE["message"] | {"message_id": message_id}
    person = UPDATE["message"]["from"]
    query = {"id": "77", "from": person, "chat_instance": "1", "message": message, "data": data}
    return {"update_id": update_id, "callback_query": query}


async def _post(here: World, body: dict[str, Any]) -> int:
    async with here.web.post(PATH, headers=SECRET, json=body) as response:
        return response.status


async def test_a_duplicate_is_acknowledged_told_and_not_processed_again(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path) as here:
        sent = await here.alice.say("/start")
        await here.updates_done()
        async with here.sandbox.post(f"/sandbox/updates/{sent['update_id']}/redeliver") as response:
            assert response.status == 200
        duplicates = ("bot.duplicate.updates", (("update_type", "message"),))
        async with asyncio.timeout(20):
            while duplicates not in telemetry.metrics():
                await asyncio.sleep(0.02)
        assert len(await here.calls("sendMessage")) == 1
    number = sent["update_id"]
    cid = telemetry.cid_of("receive message")  # one trace holds both deliveries
    assert _chain(telemetry, cid) == [
        _received(number, "message"),
        {"name": "COMMAND_RECEIVED", "update_id": number, "command": "start", "chat_hash": hashed(ALICE)},
        {"name": "COMMAND_START", "update_id": number},
        {"name": "UI_RENDER", "screen_id": "MAIN_MENU", "buttons_count": 1},
        {"name": "DISPATCH_OK", "update_id": number, "update_type": "message", "outcome": "handled"},
        _received(number, "message"),
        {
            "name": "DISPATCH_OK",
            "update_id": number,
            "update_type": "message",
            "outcome": "duplicate",
            "reason_code": "DUPLICATE_UPDATE",
        },
    ]
    first, again = [span for span in telemetry.trace(cid) if span.name == "receive message"]
    assert [link.context.span_id for link in again.links] == [first.context.span_id]
    assert (again.attributes or {})["reason_code"] == "DUPLICATE_UPDATE"
    assert telemetry.metrics()["bot.duplicate.updates", (("update_type", "message"),)] == 1
    assert telemetry.metrics()["bot.updates", (("outcome", "handled"), ("update_type", "message"))] == 1


async def _foreign_leader(url: str) -> Database:
    """A database whose lease somebody else holds."""
    database = Database(url)
    await migrate(database)
    later = datetime.now(UTC).timestamp() + 3600
    await change_lease(database, holder="elsewhere", holder_pid=1, epoch=5, expires_at=later)
    return database


async def test_a_passive_instance_stores_and_the_next_leader_goes_on_in_the_same_trace(
    telemetry: Captured, tmp_path: Path, database_url: str
) -> None:
    database = await _foreign_leader(database_url)
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=database_url) as here:
        assert await _post(here, UPDATE) == 200
        health = await here.health()
        assert (health["lock_state"], health["lock_epoch"], health["inbox_depth"]) == ("PASSIVE", 5, 1)
        assert await here.calls("sendMessage") == []
        await change_lease(database, expires_at=0.0)
        await here.active()
        await here.updates_done()
        assert len(await here.calls("sendMessage")) == 1
    await database.close()
    cid = telemetry.cid_of("receive message")
    assert telemetry.tree(cid)[:2] == ["receive message", "  process message"]
    assert _chain(telemetry, cid)[0] == _received(900, "message", "webhook", "PASSIVE")
    assert _chain(telemetry, cid)[-1]["name"] == "DISPATCH_OK"


async def test_a_passive_instance_that_is_told_to_reject_says_when_to_come_again(
    telemetry: Captured, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    database = await _foreign_leader(url)
    said = "⏳ I am being restarted. Please try again in 10 seconds."
    async with world(
        telemetry, tmp_path, bot_mode="webhook", database_url=url, passive_policy="reject"
    ) as here:
        keyboard = '{"inline_keyboard":[[{"text":"Help","callback_data":"mm.help"}]]}'
        menu = {"chat_id": ALICE, "text": "menu", "reply_markup": keyboard}
        async with here.sandbox.post(f"/bot{TOKEN}/sendMessage", json=menu) as response:
            message_id = (await response.json())["result"]["message_id"]
        pressed = await here.alice.press(message_id, "mm.help")
        assert await here.alice.answer_to("hello") == said
        await here.updates_done()
        (answer,) = await here.calls("answerCallbackQuery")
        assert answer["params"]["text"] == said
        # It is over with: a second delivery is a duplicate, and no leader processes it.
        async with here.sandbox.post(f"/sandbox/updates/{pressed['update_id']}/redeliver") as response:
            assert response.status == 200
        await here.updates_done()
        assert len(await here.calls("answerCallbackQuery")) == 1
        await change_lease(database, expires_at=0.0)
        await here.active()
    await database.close()
    cid = telemetry.cid_of("receive callback_query")
    number, query = pressed["update_id"], pressed["callback_query_id"]
    assert _chain(telemetry, cid)[:5] == [
        _received(number, "callback_query", "webhook", "PASSIVE"),
        {"name": "CALLBACK_RECEIVED", "update_id": number, "callback_id": query, "user_hash": hashed(ALICE)},
        {
            "name": "CALLBACK_REJECTED",
            "reason_code": "PASSIVE_REJECT",
            "reason_text": "this instance is PASSIVE, and told to reject",
        },
        {"name": "ANSWER_CALLBACK_QUERY", "callback_id": query, "show_alert": True},
        {
            "name": "DISPATCH_OK",
            "update_id": number,
            "update_type": "callback_query",
            "outcome": "rejected",
            "reason_code": "PASSIVE_REJECT",
        },
    ]


async def test_a_press_that_waited_too_long_is_explained_and_not_acted_upon(
    telemetry: Captured, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    database = await _foreign_leader(url)
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=url) as here:
        assert await _post(here, _press(901, 1, "mm.help")) == 200
        async with database.transaction() as session:
            long_ago = datetime.now(UTC) - timedelta(seconds=151)
            await session.execute(update(UpdateRow).values(received_at=long_ago))
        await change_lease(database, expires_at=0.0)
        await here.active()
        await here.updates_done()
        assert await here.calls("editMessageText") == []
        (answer,) = await here.calls("answerCallbackQuery")
        assert answer["params"]["text"] == "This press came too late. Please press the button again."
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, 901)
        assert (row.state, row.outcome, row.reason) == ("done", "rejected", "STATE_MISMATCH")
    await database.close()
    assert _chain(telemetry, telemetry.cid_of("receive callback_query"))[2] == {
        "name": "CALLBACK_REJECTED",
        "reason_code": "STATE_MISMATCH",
        "reason_text": "the press waited longer than 150 s",
    }


async def test_an_update_that_keeps_failing_is_set_aside_and_people_are_told(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("app.bot.handlers.start.menu.main_menu", broken)
    # The first admin never wrote to the bot: Telegram refuses to tell him.
    async with world(telemetry, tmp_path, admin_ids=f"1,{ADMIN}") as here:
        sent = await here.alice.say("/start")
        told = await here.admin.until(lambda m: "set aside" in (m["text"] or ""))
        apology = await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        # The chat goes on.
        assert (await here.alice.answer_to("hello")).startswith("Send me a link")
        await here.updates_done()
        async with here.sandbox.get(f"/sandbox/users/{here.alice.uid}/messages") as response:
            assert len((await response.json())["messages"]) == 4
    cid = next(
        format_trace_id(span.context.trace_id)
        for span in telemetry.spans()
        if (span.attributes or {}).get("messaging.message.id") == str(sent["update_id"])
    )
    code = support_code(cid)
    assert told["text"] == (
        "🧯 An update was set aside\n\nA message failed for good at attempt 3: RuntimeError. "
        f"Since the last message of this kind there were 0 more.\n\n/debug {code} tells the reason."
    )
    assert code in apology["text"]
    failures = [event for event in _chain(telemetry, cid) if event["name"] == "DISPATCH_FAIL"]
    assert [event["attempt"] for event in failures] == [1, 2, 3]
    assert _chain(telemetry, cid)[-1] == {
        "name": "UPDATE_SET_ASIDE",
        "update_id": sent["update_id"],
        "update_type": "message",
        "attempt": 3,
        "error_type": "RuntimeError",
        "reason_code": "INTERNAL_ERROR",
    }
    assert telemetry.metrics()["bot.updates.set.aside", (("update_type", "message"),)] == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ConnectionResetError, "DOWNSTREAM_ERROR"),
        (TimeoutError, "DOWNSTREAM_TIMEOUT"),
        (FileNotFoundError, "INTERNAL_ERROR"),
    ],
)
async def test_a_handlers_own_fault_of_files_or_sites_does_not_stop_its_chat_for_an_hour(
    telemetry: Captured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: type[OSError],
    reason: str,
) -> None:
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)

    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr("app.bot.handlers.start.menu.main_menu", broken)
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    async with world(telemetry, tmp_path, database_url=url) as here:
        sent = await here.alice.say("/start")
        await here.alice.say("hello")
        await here.alice.until(lambda m: (m["text"] or "").startswith("😔 Something went wrong on our side."))
        await here.alice.until(lambda m: (m["text"] or "").startswith("Send me a link"))
        await here.updates_done()
    database = Database(url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    assert (row.state, row.reason, row.attempts, row.failures) == ("set_aside", reason, 3, 3)


async def test_a_stuck_handler_is_stopped_and_holds_up_no_other_chat(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path, update_deadline_s=1.5) as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=20)
        sent = await here.alice.say("hello")
        await asyncio.sleep(0.3)
        # Boris is answered while Alice's update is stuck.
        assert (await here.boris.answer_to("привет")).startswith("Пришлите")
        apology = await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        await here.updates_done()
    assert apology["text"].startswith("😔 Something went wrong on our side.")
    errors = {labels for (name, labels) in telemetry.metrics() if name == "bot.update.errors"}
    assert errors == {(("error_type", "DeadlinePassed"), ("update_type", "message"))}
    assert sent["update_id"]


@pytest.mark.parametrize(("asked_s", "times", "tries"), [(1, 1, 1), (25, 3, 4)])
async def test_a_long_pause_that_telegram_asks_for_is_between_two_tries_and_not_within_one(
    telemetry: Captured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked_s: int,
    times: int,
    tries: int,
) -> None:
    """Three waits of 25 s within the handler passed its deadline: the update was set aside at its first try."""
    # The update's own pause is as long as Telegram asks for, or this.
    monkeypatch.setattr("app.updates.turn.LONGEST_ASKED_S", 0.1)
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    async with world(telemetry, tmp_path, database_url=url, update_deadline_s=10) as here:
        fault = {"kind": "error", "error_code": 429, "retry_after": asked_s, "times": times}
        await here.fault(method="sendMessage", **fault)
        sent = await here.alice.say("hello")
        await here.alice.until(lambda m: (m["text"] or "").startswith("Send me a link"))
        await here.updates_done()
        assert len(await here.alice.chat()) == 2
    database = Database(url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    assert (row.state, row.attempts, row.failures) == ("done", tries, 0)


async def test_a_telegram_that_is_silent_sets_no_update_aside(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets that are dropped are an outage like any other, but after three tries the update was given up."""
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("app.bot.dispatcher.REQUEST_TIMEOUT_S", 2.0)
    monkeypatch.setattr("app.bot.session._CONNECT_S", 0.2)
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    database = Database(url)
    async with (
        way() as telegram,
        world(telemetry, tmp_path, bot_mode="webhook", database_url=url, bot_api_url=telegram.url) as here,
    ):
        async with here.sandbox.get("/sandbox/state") as response:
            telegram.lead_to(response.url)
        async with asyncio.timeout(20):
            while len(await here.calls("setMyCommands")) < 2:
                await asyncio.sleep(0.05)
        await here.active()
        await telegram.fall_silent()
        assert await _post(here, UPDATE) == 200
        async with asyncio.timeout(30):
            while (await _row(database, UPDATE["update_id"])).attempts < 6:
                await asyncio.sleep(0.1)
        telegram.speak()
        await here.updates_done()
        assert len(await here.calls("sendMessage")) == 1
    row = await _row(database, UPDATE["update_id"])
    await database.close()
    # At most the first call was on a connection from before, and may have arrived.
    assert (row.state, row.failures) in (("done", 0), ("done", 1))
    assert TOKEN not in telemetry.everything()


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "delay", "delay_s": 5}], ids=str)
async def test_a_call_that_does_nothing_twice_is_made_until_it_is_heard(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("app.bot.middlewares.retry._FIRST_BACKOFF_S", 0.01)
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    monkeypatch.setattr("app.bot.dispatcher.REQUEST_TIMEOUT_S", 1.0)
    async with world(telemetry, tmp_path, database_url=url) as here:
        await here.alice.say("/start")
        menu = await here.alice.until(lambda m: m["keyboard"])
        # Four times within each try.
        await here.fault(method="editMessageText", times=14, **fault)
        pressed = await here.alice.press(menu["message_id"], "mm.help")
        await here.alice.until(lambda m: m["edit_date"], patience_s=40)
        await here.updates_done()
    database = Database(url)
    row = await _row(database, pressed["update_id"])
    await database.close()
    assert (row.state, row.attempts, row.failures) == ("done", 4, 0)


async def _row(database: Database, update_id: int) -> UpdateRow:
    async with database.reading() as session:
        return await session.get_one(UpdateRow, update_id)


async def test_a_user_who_cannot_be_told_changes_nothing(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("app.bot.handlers.fallback.screens.failure", broken)
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    async with world(telemetry, tmp_path, database_url=url, update_deadline_s=1.0) as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=20)
        sent = await here.alice.say("hello")
        told = await here.admin.until(lambda m: "set aside" in (m["text"] or ""))
        await here.updates_done()
    database = Database(url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    assert (row.state, row.reason, row.attempts) == ("set_aside", "DOWNSTREAM_TIMEOUT", 1)
    assert "A message failed for good at attempt 1: DeadlinePassed." in told["text"]


async def test_a_deadline_that_passes_within_a_commit_is_no_failure(
    telemetry: Captured, tmp_path: Path, postgres_url: str, media_samples: Path
) -> None:
    async with (
        relay(postgres_url) as through,
        world(
            telemetry,
            tmp_path,
            database_url=through.url,
            media_samples=media_samples,
            update_deadline_s=1.0,
        ) as here,
    ):
        await here.active()
        through.hold_the_commit_of(b"INSERT INTO jobs", 2.0)
        sent = await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        told = [m["text"] for m in await here.alice.chat() if "went wrong" in (m["text"] or "")]
        assert told == []
        assert await here.calls("deleteMessage") == []
    database = Database(postgres_url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    assert (row.state, row.outcome, row.attempts) == ("done", "handled", 1)
    assert row.duration_ms is not None
    assert ("bot.updates.set.aside", (("update_type", "message"),)) not in telemetry.metrics()


async def test_a_full_inbox_answers_429_and_when_to_come_again(telemetry: Captured, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    database = await _foreign_leader(url)
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=url, inbox_limit=1) as here:
        assert await _post(here, UPDATE) == 200
        async with here.web.post(PATH, headers=SECRET, json=UPDATE | {"update_id": 901}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
            assert await response.json() == {"error": "Too many updates wait already."}
        await change_lease(database, expires_at=0.0)
        await here.active()
        await here.updates_done()
        async with asyncio.timeout(10):  # the depth is counted once a second
            while await _post(here, UPDATE | {"update_id": 901}) != 200:
                await asyncio.sleep(0.1)
        await here.updates_done()
    await database.close()
    refused = [s for s in telemetry.spans() if (s.attributes or {}).get("reason_code") == "RATE_LIMIT"]
    told = {(span.name, span.status.status_code) for span in refused}
    assert told == {("receive message", StatusCode.ERROR)}


async def test_a_database_that_goes_away_answers_503_and_all_goes_on_when_it_is_back(
    telemetry: Captured, tmp_path: Path, database_url: str
) -> None:
    database = Database(database_url)
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=database_url) as here:
        await here.active()
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE updates RENAME TO gone"))
        async with here.web.post(PATH, headers=SECRET, json=UPDATE) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert await response.json() == {"error": "The update could not be stored."}
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO updates"))
        assert await _post(here, UPDATE) == 200
        await here.updates_done()
        assert len(await here.calls("sendMessage")) == 1
    await database.close()
    assert telemetry.metrics()["bot.webhook.latency", (("outcome", "unavailable"),)] == 1


async def test_an_instance_that_can_never_read_the_lease_says_that_it_is_not_ready(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    """It stayed ready for ever, and its load balancer sent it updates that nobody processed."""
    monkeypatch.setattr("app.updates.service._ABANDONED_S", 5.0)
    database = Database(database_url)
    await migrate(database)
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE lock_heartbeat RENAME TO gone"))
    async with world(telemetry, tmp_path, database_url=database_url, until="/health/live") as here:
        seen = [await _ready(here)]
        async with asyncio.timeout(20):
            while seen[-1] == 200:
                await asyncio.sleep(0.1)
                seen.append(await _ready(here))
        async with here.web.get("/metrics") as response:
            (age,) = re.findall(r"(?m)^bot_lock_heartbeat_age_seconds (\S+)$", await response.text())
        assert float(age) > 5
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO lock_heartbeat"))
        await here.active()
        seen.append(await _ready(here))
    await database.close()
    assert list(dict.fromkeys(seen)) == [200, 503]
    assert seen[-1] == 200


async def _ready(here: World) -> int:
    async with here.web.get("/health/ready") as response:
        return response.status


@pytest.mark.parametrize("how", ["cut before the commit", "refused"])
async def test_a_job_that_cannot_have_been_queued_is_not_shown_as_queued(
    telemetry: Captured, tmp_path: Path, postgres_url: str, media_samples: Path, how: str
) -> None:
    async with (
        relay(postgres_url) as through,
        world(telemetry, tmp_path, database_url=through.url, media_samples=media_samples) as here,
    ):
        await here.active()
        if how == "refused":
            await here.fault(method="sendMessage", kind="delay", delay_s=1.0)
        else:
            through.cut_at(b"INSERT INTO jobs")
        sent = await here.alice.say(f"{here.media}/watch/sample")
        if how == "refused":
            while not await here.calls("sendMessage"):
                await asyncio.sleep(0.02)
            through.refuse()
            while not await here.calls("deleteMessage"):
                await asyncio.sleep(0.02)
            through.go_on()
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        assert len(await here.calls("deleteMessage")) == 1
        assert [m["text"] for m in await here.alice.chat() if "queue" in (m["text"] or "")] == []
        assert len([m for m in await here.alice.chat() if m["attachment"]]) == 1
    database = Database(postgres_url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    # The loss of the database is no failure of the update's.
    assert (row.state, row.attempts, row.failures) == ("done", 2, 0)


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_link_outlives_a_message_that_cannot_be_taken_back(
    telemetry: Captured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
    media_samples: Path,
    how: str,
) -> None:
    """The database was away for a moment, somebody had deleted the message, and the link was lost."""
    async with (
        relay(postgres_url) as through,
        world(telemetry, tmp_path, database_url=through.url, media_samples=media_samples) as here,
    ):
        await here.active()
        if how == "silent":
            monkeypatch.setattr("app.bot.handlers.link._TAKING_BACK_S", 0.5)
            await here.fault(method="deleteMessage", kind="delay", delay_s=20)
        else:
            gone = "Bad Request: message to delete not found"
            await here.fault(method="deleteMessage", kind="error", error_code=400, description=gone)
        through.cut_at(b"INSERT INTO jobs")
        sent = await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        assert len(await here.calls("deleteMessage")) == 1
        assert [m["text"] for m in await here.alice.chat() if "went wrong" in (m["text"] or "")] == []
    database = Database(postgres_url)
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, sent["update_id"])
    await database.close()
    assert (row.state, row.attempts, row.failures) == ("done", 2, 0)
    assert ("bot.updates.set.aside", (("update_type", "message"),)) not in telemetry.metrics()


async def test_a_job_that_was_not_queued_in_time_is_not_shown_as_queued(
    telemetry: Captured, tmp_path: Path, postgres_url: str
) -> None:
    database = Database(postgres_url)
    async with world(telemetry, tmp_path, database_url=postgres_url, update_deadline_s=1.5) as here:
        await here.active()
        async with database.transaction() as session:
            await session.execute(text("LOCK TABLE jobs IN EXCLUSIVE MODE"))
            await here.alice.say("https://example.org/watch")
            await here.alice.until(lambda m: (m["text"] or "").startswith("😔 Something went wrong"))
        await here.updates_done()
        assert [m["text"] for m in await here.alice.chat() if "queue" in (m["text"] or "")] == []
        assert len(await here.calls("deleteMessage")) == 1
    await database.close()


async def test_a_commit_of_which_nothing_is_heard_leaves_the_message_to_its_job(
    telemetry: Captured, tmp_path: Path, postgres_url: str, media_samples: Path
) -> None:
    async with (
        relay(postgres_url) as through,
        world(telemetry, tmp_path, database_url=through.url, media_samples=media_samples) as here,
    ):
        await here.active()
        through.lose_the_commit_of(b"INSERT INTO jobs")
        await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        assert through.lost == 1
        assert await here.calls("deleteMessage") == []
        assert len([m for m in await here.alice.chat() if m["attachment"]]) == 1
