"""Ten thousand people, each different in every respect, go through the bot: not one series is added to its metrics."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from aiogram import Bot, Dispatcher
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.bot import dispatcher as dispatchers
from app.bot.desk import Desk
from app.bot.dossier import Archive
from app.bot.feed import Feed
from app.bot.intake import Intake
from app.bot.session import SafeSession
from app.db.session import Database
from app.errors import InboxFull
from app.traces.index import TraceIndex
from app.traces.verbosity import SharedVerbosity
from app.updates.claims import Claimed
from app.updates.door import Door, Stored
from app.updates.envelope import read
from app.updates.inbox import Arrival
from app.updates.lease import Lease
from app.updates.turn import Turn
from tests.kit.telemetry import TOKEN, Captured

PEOPLE = 10_000
AT_ONCE = 500
#: Everything that a person can send, or do to the bot's calls, at least once.
KINDS = 12


class _Door(Door):
    """The door of an inbox in memory; now and then an update comes twice, or is one too many."""

    def __init__(self) -> None:
        self.last: Arrival | None = None

    async def put(self, arrival: Arrival) -> Stored:
        self.last = None
        kind = arrival.envelope.update_id % KINDS
        if kind == 10:
            raise InboxFull
        if kind == 11:
            return Stored(arrival.traceparent)
        self.last = arrival
        return Stored()


class _Answer:
    """What Telegram answers: mostly yes, sometimes one of its refusals, with words of the chat in it."""

    def __init__(self, method: str, number: int) -> None:
        words = f"no {random.random()} for {number}"
        refusals: dict[int, tuple[int, dict[str, Any]]] = {
            7: (400, {"description": f"Bad Request: {words}"}),
            8: (403, {"description": f"Forbidden: {words}"}),
            9: (429, {"description": f"Too Many Requests: {words}", "parameters": {"retry_after": 40}}),
        }
        sent = {"message_id": number, "date": 1, "chat": {"id": number, "type": "private"}, "text": words}
        result: Any = True if method in ("answerCallbackQuery", "deleteMessage") else sent
        self.status, refusal = refusals.get(number % KINDS, (200, {}))
        body = (
            {"ok": not refusal, "result": result} if not refusal else {"ok": False, "error_code": self.status}
        )
        self._body = json.dumps({**body, **refusal})

    async def text(self) -> str:
        return self._body

    async def __aenter__(self) -> _Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        return None


class _Telegram:
    """Stands for the HTTP client of the Bot API."""

    number = 0

    def post(self, url: str, **_: Any) -> _Answer:
        return _Answer(url.rpartition("/")[2], self.number)


class Bots:
    """The bot from its intake to its calls."""

    def __init__(self, dispatcher: Dispatcher, bot: Bot, database: Database, telegram: _Telegram) -> None:
        self._door = _Door()
        self._intake = Intake(self._door, Lease(database, 1, 4))
        self._feed = Feed(dispatcher, bot)
        self._database = database
        self._telegram = telegram

    async def take(self, number: int) -> None:
        """Let one person do one thing."""
        self._telegram.number = number
        try:
            await self._intake.receive(read(json.dumps(update(number)).encode()), "webhook")
        except InboxFull:
            return
        arrival = self._door.last
        if arrival is not None:
            envelope = arrival.envelope
            claimed = Claimed(
                envelope.update_id,
                envelope.kind,
                envelope.body,
                arrival.traceparent,
                3,
                False,
                datetime.now(UTC),
            )
            await self._feed.process(Turn(claimed, 1, self._database))


def update(number: int) -> dict[str, Any]:
    """What the person with this number sends. Nothing of it, but its kind, is what anybody else sends."""
    person = {
        "id": 10_000 + number,
        "is_bot": False,
        "first_name": f"Name {number}",
        "username": f"user_{number}",
        "language_code": f"x{number}",
    }
    chat = {"id": person["id"], "type": "private"}
    message = {"message_id": number, "date": int(datetime.now(UTC).timestamp()), "chat": chat, "from": person}
    texts = [
        "/start",
        f"/start payload{number}",
        f"/command_{number} argument",
        f"some words, the {number}th",
        f"https://10.0.0.{number % 250}/{number}",
        f"/debug {number}",
    ]
    pressed = {"id": str(number), "from": person, "chat_instance": str(number), "data": f"button.{number}"}
    kinds: list[dict[str, Any]] = [
        *({"message": {**message, "text": text}} for text in texts),
        {"callback_query": {**pressed, "message": {**message, "text": "menu"}}},
        {"message": {**message, "text": f"refused {number}"}},
        {"callback_query": pressed},
        {f"kind_{number}": {**message, "text": "of tomorrow"}},
        {"message": {**message, "text": "one too many"}},
        {"edited_message": {**message, "edit_date": 1, "text": f"again {number}"}},
    ]
    return {"update_id": number, **kinds[number % KINDS]}


@pytest.fixture
async def bots(monkeypatch: pytest.MonkeyPatch, telemetry: Captured, tmp_path: Path) -> AsyncIterator[Bots]:
    telegram = _Telegram()

    async def create_session(_: SafeSession) -> Any:
        return telegram

    monkeypatch.setattr(SafeSession, "create_session", create_session)
    # Events are not what this is about, and pytest would keep every one of them.
    level = logging.getLogger("app").level
    logging.getLogger("app").setLevel(logging.CRITICAL)
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}")
    recorder = telemetry.telemetry.recorder
    archive = Archive.of(database, recorder, TraceIndex(database, recorder, 1), "")
    verbosity = SharedVerbosity(database, telemetry.telemetry.verbosity)
    desk = Desk(archive, verbosity, lambda: "ACTIVE")
    dispatcher = dispatchers.build(
        desk=desk, admin_ids=frozenset({1}), wake_worker=lambda: None, deadline_s=10
    )
    yield Bots(dispatcher, dispatchers.create_bot(TOKEN, "https://telegram.invalid"), database, telegram)
    logging.getLogger("app").setLevel(level)
    await database.close()


def series(telemetry: Captured) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series of `/metrics`, each bucket one."""
    text = generate_latest(telemetry.telemetry.registry).decode()  # type: ignore[no-untyped-call]
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def points(telemetry: Captured) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series over OTLP."""
    data = telemetry.reader.get_metrics_data()
    assert data is not None
    return {
        (metric.name, frozenset((key, str(value)) for key, value in (point.attributes or {}).items()))
        for part in data.resource_metrics
        for scope in part.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


@pytest.mark.timeout(300)
async def test_ten_thousand_people_add_no_series(bots: Bots, telemetry: Captured) -> None:
    for number in range(2 * KINDS):
        await bots.take(number)
    scraped, sent = series(telemetry), points(telemetry)
    for number in range(2 * KINDS, PEOPLE):
        await bots.take(number)
        if number % AT_ONCE == 0:
            telemetry.reset()
    assert series(telemetry) == scraped
    assert points(telemetry) == sent
    kinds = {dict(labels).get("update_type") for name, labels in sent if name == "bot.updates"}
    assert kinds == {"message", "callback_query", "other"}, "every kind came through"
