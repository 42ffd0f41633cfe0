"""The webhook's door: who may come in, with what, and what happens to an update that does."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.bot import ALICE, world
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
    assert telemetry.spans() == []


async def test_an_incoming_traceparent_is_ignored(telemetry: Captured, tmp_path: Path) -> None:
    forged = "0af7651916cd43dd8448eb211c80319c"
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        headers = SECRET | {"traceparent": f"00-{forged}-b7ad6b7169203331-01", "baggage": "k=v"}
        async with here.web.post(PATH, headers=headers, json=UPDATE) as response:
            assert response.status == 200
        calls = await here.calls("sendMessage")
    assert telemetry.trace(forged) == []
    assert len(telemetry.trace(telemetry.cid_of("receive message"))) == 4
    assert not {"traceparent", "tracestate", "baggage"} & set(calls[0]["headers"])


async def test_an_update_that_cannot_be_read_does_not_block_the_others(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with (
        world(telemetry, tmp_path, bot_mode="webhook") as here,
        here.web.post(PATH, headers=SECRET, json={"update_id": 7, "message": {"text": 1}}) as response,
    ):
        assert response.status == 200
    assert telemetry.metrics() == {
        ("bot.updates", (("update_type", "other"),)): 1,
        ("bot.update.errors", (("error_type", "ValidationError"), ("update_type", "other"))): 1,
    }


async def test_an_update_type_of_tomorrow_is_counted(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        async with here.web.post(PATH, headers=SECRET, json={"update_id": 8, "thought": {}}) as response:
            assert response.status == 200
    assert telemetry.metrics()["bot.updates", (("update_type", "other"),)] == 1


@pytest.mark.parametrize("path", ["/", "/health", "/metrics"])
async def test_the_other_doors_are_open(telemetry: Captured, tmp_path: Path, path: str) -> None:
    async with world(telemetry, tmp_path) as here:
        async with here.web.get(path) as response:
            assert response.status == 200
            text = await response.text()
        async with here.web.post(path) as response:
            assert response.status == 405
    if path == "/health":
        body = json.loads(text)
        assert body.pop("uptime_seconds") >= 0
        assert body == {
            "status": "ok",
            "version": "0.1.0",
            "workers": {"running": 0, "limit": 2},
            "queue_size": 0,
            "database": "ok",
        }
