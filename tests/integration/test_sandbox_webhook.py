"""How the sandbox brings updates to webhooks: order, secret, back-off, methods in the answer."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from aiohttp import web

from app.sandbox.methods import METHODS
from tests.kit.sandbox_client import ALICE, BORIS, Sandbox, running_sandbox
from tests.kit.serving import serving

FIRST = 100_000_001


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


@dataclass
class Receiver:
    """A bot's webhook that keeps what comes and answers as it is told."""

    url: str = ""
    got: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], web.Response] = lambda update: web.Response()
    busy: int = 0
    most_busy: int = 0
    pause_s: float = 0.0

    async def take(self, request: web.Request) -> web.Response:
        update = await request.json()
        self.got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), update))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        await asyncio.sleep(self.pause_s)
        self.busy -= 1
        return self.answer(update)

    def ids(self) -> list[int]:
        return [update["update_id"] for _, update in self.got]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with serving(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver


async def settled(box: Sandbox) -> dict[str, Any]:
    """Wait until no update is pending; gives getWebhookInfo."""
    async with asyncio.timeout(5):
        while (info := await box.result("getWebhookInfo"))["pending_update_count"]:
            await asyncio.sleep(0.01)
    return dict(info)


async def test_a_webhook_gets_what_waited_and_what_comes_with_the_secret(box: Sandbox) -> None:
    async with receiver() as hook:
        await box.write("before")
        await box.result("setWebhook", url=hook.url, secret_token="s-1", max_connections=3)
        await box.write("after")
        await hook.until(2)
        assert [(secret, update["message"]["text"]) for secret, update in hook.got] == [
            ("s-1", "before"),
            ("s-1", "after"),
        ]
        assert await settled(box) == {
            "url": hook.url,
            "has_custom_certificate": False,
            "pending_update_count": 0,
            "max_connections": 3,
            "ip_address": "<unknown>",
        }


async def test_a_chat_keeps_its_order_and_chats_do_not_wait_for_each_other(box: Sandbox) -> None:
    async with receiver() as hook:
        hook.pause_s = 0.05
        for number in range(4):
            await box.write(f"a{number}")
            await box.write(f"b{number}", user=BORIS)
        await box.result("setWebhook", url=hook.url)
        await hook.until(8)
        texts = [update["message"]["text"] for _, update in hook.got]
        assert [text for text in texts if text[0] == "a"] == ["a0", "a1", "a2", "a3"]
        assert [text for text in texts if text[0] == "b"] == ["b0", "b1", "b2", "b3"]
        assert hook.most_busy == 2


async def test_max_connections_bounds_the_deliveries(box: Sandbox) -> None:
    async with receiver() as hook:
        hook.pause_s = 0.02
        for user in (ALICE, BORIS, 1000):
            await box.write("x", user=user)
        await box.result("setWebhook", url=hook.url, max_connections=1)
        await hook.until(3)
        assert hook.most_busy == 1


async def test_a_refused_update_comes_again_at_once_then_after_longer_and_longer_pauses(box: Sandbox) -> None:
    async with receiver() as hook:
        hook.answer = lambda update: web.Response(status=500)
        await box.result("setWebhook", url=hook.url)
        await box.write("hi")
        await hook.until(2)
        await asyncio.sleep(0.05)
        tries = 2
        for pause_s in (2, 4, 8, 16, 32):
            await box.post("clock", {"advance_s": pause_s - 1})
            await asyncio.sleep(0.03)
            assert len(hook.got) == tries
            await box.post("clock", {"advance_s": 1})
            tries += 1
            await hook.until(tries)
            await asyncio.sleep(0.02)
        info = await box.result("getWebhookInfo")
        assert info["pending_update_count"] == 1
        assert info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"
        hook.answer = lambda update: web.Response()
        await box.post("clock", {"advance_s": 120})
        await hook.until(tries + 1)
        assert set(hook.ids()) == {FIRST}
        assert (await settled(box))["last_error_date"] == ANY


async def test_retry_after_is_honoured_and_an_update_is_given_up_with_its_life(box: Sandbox) -> None:
    async with receiver() as hook:
        hook.answer = lambda update: web.Response(status=503, headers={"Retry-After": "100"})
        await box.result("setWebhook", url=hook.url)
        await box.post(f"users/{ALICE}/presses", {"message_id": 1, "callback_data": "x", "force": True})
        await hook.until(1)
        await asyncio.sleep(0.05)
        assert len(hook.got) == 1
        await box.post("clock", {"advance_s": 100})
        await hook.until(2)
        await settled(box)
        assert len(hook.got) == 2


async def test_a_second_delivery_and_dropped_updates(box: Sandbox) -> None:
    async with receiver() as hook:
        await box.write("old")
        await box.result("setWebhook", url=hook.url, drop_pending_updates=True)
        await box.write("new")
        await hook.until(1)
        await box.post(f"updates/{FIRST + 1}/redeliver")
        await hook.until(2)
        assert hook.ids() == [FIRST + 1, FIRST + 1]


async def test_a_webhook_may_answer_with_a_method(box: Sandbox) -> None:
    async with receiver() as hook:
        reply = {"method": "sendMessage", "chat_id": ALICE, "text": "from the webhook"}
        hook.answer = lambda update: web.json_response(reply)
        await box.result("setWebhook", url=hook.url)
        await box.write("hi")
        await settled(box)
        assert [message["text"] for message in await box.chat()] == ["hi", "from the webhook"]
        hook.answer = lambda update: web.json_response({"method": "deleteWebhook"})
        await box.write("again")
        await settled(box)
        assert (await box.result("getWebhookInfo"))["url"] == hook.url


async def test_a_webhook_that_nobody_answers_keeps_the_update(box: Sandbox) -> None:
    await box.result("setWebhook", url="http://127.0.0.1:9/hook")
    await box.write("hi")
    async with asyncio.timeout(5):
        while "last_error_message" not in (info := await box.result("getWebhookInfo")):
            await asyncio.sleep(0.01)
    assert (info["last_error_message"], info["pending_update_count"]) == ("Connection refused", 1)
    await box.result("setWebhook", url="")
    (update,) = await box.result("getUpdates")
    assert update["update_id"] == FIRST


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"url": "nonsense"}, "invalid webhook URL specified"),
        ({"url": "http://"}, "invalid webhook URL specified"),
        ({"url": "http://x:99999/"}, "invalid webhook URL specified"),
        ({"url": "ftp://x/"}, "bad webhook: An HTTPS URL must be provided for webhook"),
        ({"url": "https://x/", "secret_token": "x" * 257}, "secret token is too long"),
        ({"url": "https://x/", "secret_token": "a b"}, "secret token contains unallowed characters"),
    ],
)
async def test_set_webhook_refuses(box: Sandbox, params: dict[str, Any], refusal: str) -> None:
    assert await box.refusal("setWebhook", **params) == f"400 Bad Request: {refusal}"
    assert (await box.result("getWebhookInfo"))["url"] == ""


async def test_no_answer_of_a_webhook_ends_the_sandbox(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: object) -> object:
        raise TypeError("a secret text")

    monkeypatch.setitem(METHODS, "sendChatAction", broken)
    replies: list[dict[str, Any]] = [
        {"method": "setMessageReaction", "chat_id": ALICE, "message_id": 1, "reaction": [{"type": []}]},
        {"method": "sendChatAction", "chat_id": ALICE, "action": "typing"},
        {"method": "sendMessage", "chat_id": ALICE, "text": "still here"},
    ]
    async with receiver() as hook:
        hook.answer = lambda update: web.json_response(replies[len(hook.got) - 1])
        await box.result("setWebhook", url=hook.url)
        for number in range(len(replies)):
            await box.write(f"m{number}")
        await settled(box)
        assert (await box.chat())[-1]["text"] == "still here"
    statuses = {call["method"]: call["status"] for call in (await box.get("calls"))["calls"]}
    assert (statuses["setMessageReaction"], statuses["sendChatAction"]) == (400, 500)
    assert "secret" not in caplog.text


async def test_a_file_that_finds_no_room_on_disk_is_only_a_failed_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    part = '--b\r\nContent-Disposition: form-data; name="audio"; filename="x"\r\n\r\nsound\r\n--b--\r\n'
    content_type = {"Content-Type": "multipart/form-data; boundary=b"}
    async with running_sandbox() as box, receiver() as hook:
        (folder,) = tmp_path.iterdir()
        shutil.rmtree(folder)
        hook.answer = lambda update: web.Response(text=part, headers=content_type)
        await box.result("setWebhook", url=hook.url)
        await box.write("hi")
        await hook.until(2)
        assert (await box.result("getWebhookInfo"))["last_error_message"] == "Connection closed"


async def test_a_name_that_is_no_utf8_reaches_no_webhook(box: Sandbox) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=kind\r\n\r\naudio\r\n--b\r\nContent-Disposition: "
    body += b'form-data; name=file; filename="\xff\xfe.mp3"\r\n\r\nsound\r\n--b--\r\n'
    async with receiver() as hook:
        await box.result("setWebhook", url=hook.url)
        url, headers = (
            f"{box.url}/sandbox/users/{ALICE}/files",
            {"Content-Type": "multipart/form-data; boundary=b"},
        )
        async with box.http.post(url, data=body, headers=headers) as response:
            assert response.status == 400
        await box.write("hi")
        await settled(box)
        assert [update["message"]["text"] for _, update in hook.got] == ["hi"]
