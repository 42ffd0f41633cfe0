"""What `/debug` says of an update that was tried again, that its process did not survive, or that ended amid a stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.bot.screens import menu
from app.db.line import Line
from app.db.migrate import migrate
from app.db.models import UpdateRow
from app.db.session import Database
from app.telemetry.recorder import Recorder
from app.traces.index import TraceIndex
from app.updates import inbox
from app.updates.envelope import read
from app.updates.inbox import Arrival
from tests.kit.bot import world
from tests.kit.person import Message, Person
from tests.kit.telemetry import Captured
from tests.kit.updates import FIRST, message


async def _errors(admin: Person) -> Message:
    """The list of what went wrong."""
    asked = await admin.say("/debug")
    overview = await admin.until(lambda m: m["message_id"] > asked["message_id"])
    await admin.press(overview["message_id"], "db.errors")
    return await admin.until(lambda m: m["message_id"] == overview["message_id"] and m["edit_date"])


async def test_a_failure_that_the_next_try_mended_is_no_reason(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.05)
    real, left = menu.main_menu, [RuntimeError()]

    def broken_once(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr("app.bot.handlers.start.menu.main_menu", broken_once)
    async with world(telemetry, tmp_path) as here:
        sent = await here.alice.say("/start")
        await here.alice.until(lambda m: m["keyboard"])
        await here.updates_done()
        told = await here.admin.answer_to(f"/debug {sent['update_id']}")
        errors = await _errors(here.admin)
    assert told.startswith("✅ message · handled ·")
    assert "DISPATCH_FAIL INTERNAL_ERROR RuntimeError" in told
    assert "💡" not in told
    assert "Nothing failed or was rejected" in errors["text"]


async def test_an_update_that_its_processes_did_not_survive_is_an_error_with_a_reason(
    telemetry: Captured, tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    database = Database(url)
    await migrate(database)
    line = Line(database)
    await inbox.store(line, [Arrival(read(message(1)), FIRST)])
    await line.close()
    async with database.transaction() as session:
        # As ten killed leaders leave it.
        row = update(UpdateRow).where(UpdateRow.update_id == 1)
        await session.execute(row.values(state="running", epoch=0, attempts=10, deaths=9))
    await database.close()
    cid = FIRST.split("-")[1]
    async with world(telemetry, tmp_path, database_url=url) as here:
        await here.admin.say("/start")
        await here.updates_done()
        told = await here.admin.answer_to(f"/debug {cid}")
        errors = await _errors(here.admin)
    assert told.startswith("❌ ")
    assert "set_aside, INTERNAL_ERROR" in told.splitlines()[0]
    assert "💡 INTERNAL_ERROR" in told
    assert "UPDATE_SET_ASIDE INTERNAL_ERROR ProcessDied" in told
    assert cid[:8] in str(errors)


async def test_what_ends_while_the_bot_stops_is_in_the_index(telemetry: Captured, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    async with world(telemetry, tmp_path, database_url=url) as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=2)
        sent = await here.alice.say("/start")
        while not await here.calls("sendMessage"):
            await asyncio.sleep(0.02)
        here.stop.set()
        answer = await here.alice.until(lambda m: m["keyboard"])
    database = Database(url)
    index = TraceIndex(database, Recorder(), 24)
    [found] = await index.by_update(sent["update_id"])
    shown = await index.by_message(answer["message_id"])
    await database.close()
    assert [event.name for event in found.events][:2] == ["UPDATE_RECEIVED", "COMMAND_RECEIVED"]
    assert found.events[-1].name == "DISPATCH_OK"
    assert {"receive message", "process message", "sendMessage"} <= {span.name for span in found.spans}
    assert [trace.trace_id for trace in shown] == [found.trace_id]
