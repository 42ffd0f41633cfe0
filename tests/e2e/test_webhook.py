"""The webhook's door: who may come in, with what, and what happens to an update that does."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, format_trace_id

from app.db.models import UpdateRow
from app.db.session import Database
from tests.kit.bot import ADMIN, ALICE, world
from tests.kit.telemetry import SECRETS, Captured

PATH = "/telegram/webhook"
SECRET = {"X-Telegram-Bot-Api-Secret-Token": SECRETS[0]}
JSON = {"Content-Type": "application/json"}
UPDATE: dict[str, Any] = {
    "update_id": 900,
    "message": {
        "message_id": 1,
        "date": 1_790_000_000,
        "chat": {"id": ALICE, "type": "private", "first_name": "Alice"},
        "from": {"id": ALICE, "is_bot": False, "first_name": "Alice", "language_code": "en"},
        "text": "hello",
    },
}


async def test_updates_arrive_through_the_webhook(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples, bot_mode="webhook") as here:
        await here.alice.say(f"{here.media}/sample.mp3")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        (call,) = await here.calls("setWebhook")
        assert call["params"]["url"].endswith(PATH)
        assert sorted(json.loads(call["params"]["allowed_updates"])) == ["callback_query", "message"]
        assert await here.calls("getUpdates") == []
    assert telemetry.tree(telemetry.cid_of("receive message"))[:3] == [
        "receive message",
        "  process message",
        "    handle link_received",
    ]


REFUSED: list[tuple[str, dict[str, str], bytes, int]] = [
    ("no secret", JSON, b"{}", 401),
    ("wrong secret", JSON | {"X-Telegram-Bot-Api-Secret-Token": "x" * 24}, b"{}", 401),
    ("secret beyond ASCII", JSON | {"X-Telegram-Bot-Api-Secret-Token": "пароль-пароль-пароль"}, b"{}", 401),
    ("no content type", SECRET | {"Content-Type": "text/plain"}, b"{}", 415),
    ("no JSON", SECRET | JSON, b"{", 400),
    ("no JSON text", SECRET | JSON, b"\xff\xfe", 400),
    ("empty", SECRET | JSON, b"", 400),
    ("a list", SECRET | JSON, b"[]", 400),
    ("no update", SECRET | JSON, b'{"ok": true}', 400),
    ("deep", SECRET | JSON, b"[" * 100_000, 400),
    ("oversize", SECRET | JSON, b'{"update_id": 1, "x": "' + b"a" * (1024 * 1024) + b'"}', 413),
]


async def test_the_door_is_shut_to_everything_else(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        await here.active()
        answers = {}
        for name, headers, body, _ in REFUSED:
            async with here.web.post(PATH, headers=headers, data=io.BytesIO(body)) as response:
                answers[name] = response.status
                assert set(await response.json()) == {"error"}
        assert answers == {name: status for name, _, _, status in REFUSED}
        async with here.web.get(PATH, headers=SECRET) as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
        async with here.web.post("/telegram/webhook/x", headers=SECRET) as response:
            assert response.status == 404
        assert await here.calls("sendMessage") == []
    assert [span.name for span in telemetry.spans()] == ["lease takeover"]


async def test_an_incoming_traceparent_is_ignored(telemetry: Captured, tmp_path: Path) -> None:
    forged = "0af7651916cd43dd8448eb211c80319c"
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        headers = SECRET | {"traceparent": f"00-{forged}-b7ad6b7169203331-01", "baggage": "k=v"}
        async with here.web.post(PATH, headers=headers, json=UPDATE) as response:
            assert response.status == 200
        await here.updates_done()
        calls = await here.calls("sendMessage")
    assert telemetry.trace(forged) == []
    assert len(telemetry.trace(telemetry.cid_of("receive message"))) == 4
    assert not {"traceparent", "tracestate", "baggage"} & set(calls[0]["headers"])


async def test_an_update_that_cannot_be_read_is_set_aside_at_once_and_holds_up_nobody(
    telemetry: Captured, tmp_path: Path, database_url: str
) -> None:
    database = Database(database_url)
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=database_url) as here:
        unreadable = UPDATE | {"message": UPDATE["message"] | {"text": 1}}
        for body in (unreadable, UPDATE | {"update_id": 901}):
            async with here.web.post(PATH, headers=SECRET, json=body) as response:
                assert response.status == 200
        await here.updates_done()
        told = await here.admin.until(lambda m: "set aside" in (m["text"] or ""))
        chats = [call["params"]["chat_id"] for call in await here.calls("sendMessage")]
        assert sorted(chats) == [str(ADMIN), str(ALICE)]  # the next update of the chat was answered
    async with database.reading() as session:
        row = await session.get_one(UpdateRow, 900)
    await database.close()
    assert (row.state, row.outcome, row.reason, row.attempts) == ("set_aside", "error", "INTERNAL_ERROR", 1)
    assert json.loads(row.body or "") == unreadable
    assert "A message failed for good at attempt 1: ValidationError." in told["text"]
    failed = next(span for span in telemetry.spans() if span.status.status_code is StatusCode.ERROR)
    assert (failed.name, (failed.attributes or {})["reason_code"]) == ("process message", "INTERNAL_ERROR")
    names = [event["name"] for event in telemetry.events(format_trace_id(failed.context.trace_id))]
    assert names == ["UPDATE_RECEIVED", "DISPATCH_FAIL", "UPDATE_SET_ASIDE"]
    grown = telemetry.metrics()
    assert grown["bot.webhook.latency", (("outcome", "stored"),)] == 2
    assert grown["bot.updates", (("outcome", "error"), ("update_type", "message"))] == 1
    assert grown["bot.update.errors", (("error_type", "ValidationError"), ("update_type", "message"))] == 1
    assert grown["bot.errors", (("category", "internal"),)] == 1
    assert grown["bot.updates.set.aside", (("update_type", "message"),)] == 1


# aiogram warns, and goes on.
@pytest.mark.filterwarnings("ignore:Detected unknown update type:RuntimeWarning")
async def test_an_update_type_of_tomorrow_is_counted(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        async with here.web.post(PATH, headers=SECRET, json={"update_id": 8, "thought": {}}) as response:
            assert response.status == 200
        await here.updates_done()
    grown = telemetry.metrics()
    assert grown["bot.webhook.latency", (("outcome", "stored"),)] == 1
    assert grown["bot.updates", (("outcome", "unhandled"), ("update_type", "other"))] == 1
    assert grown["bot.update.latency", (("outcome", "unhandled"), ("update_type", "other"))] == 1


@pytest.mark.parametrize("path", ["/", "/health", "/metrics"])
async def test_the_other_doors_are_open(telemetry: Captured, tmp_path: Path, path: str) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.active()
        async with here.web.get(path) as response:
            assert response.status == 200
            text = await response.text()
        async with here.web.post(path) as response:
            assert response.status == 405
    if path == "/health":
        body = json.loads(text)
        assert body.pop("uptime_seconds") >= 0
        assert 0 <= body.pop("lock_heartbeat_age") < 60
        assert 0 <= body.pop("lock_idle_duration") < 60
        assert body.pop("last_heartbeat").endswith("Z")
        assert body["telemetry"].pop("queue") >= 0
        assert body == {
            "status": "ok",
            "version": "0.1.0",
            "workers": {"running": 0, "limit": 2},
            "lock_state": "ACTIVE",
            "lock_epoch": 1,
            "lock_holder_pid": os.getpid(),
            "lock_takeover_event": "first start",
            "queue_size": 0,
            "inbox_depth": 0,
            "telemetry": {"spans_dropped": 0, "logs_dropped": 0, "metrics_dropped": 0},
            "database": "ok",
            "downloader": "ok",
            "updates": "ok",
        }
