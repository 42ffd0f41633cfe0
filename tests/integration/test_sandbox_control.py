"""The control API: chats, presses, faults, calls, clock, events, and the guard at its door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import aiohttp
import pytest

from app.sandbox.server import Sample
from tests.kit.sandbox_client import ALICE, BORIS, TOKEN, Sandbox, running_sandbox

MARKUP = {
    "inline_keyboard": [[{"text": "Go", "callback_data": "go"}, {"text": "Site", "url": "https://x.org/"}]]
}


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox(samples=[Sample("A song", "http://127.0.0.1:1/a.mp3")]) as box:
        yield box


async def test_the_state_at_the_start(box: Sandbox) -> None:
    def user(uid: int, name: str, **more: Any) -> dict[str, Any]:
        known = {"id": uid, "first_name": name, "last_name": None, "language_code": "en", "is_admin": False}
        return {**known, **more}

    users = [
        user(1001, "Alice", username="alice"),
        user(1002, "Борис", username="boris", language_code="ru"),
        user(1000, "Ada", last_name="Admin", username="ada_admin", is_admin=True),
    ]
    bot = {
        "id": 42,
        "username": "sandbox_42_bot",
        "first_name": "Sandbox Bot",
        "webhook_url": None,
        "polling": False,
        "pending_updates": 0,
    }
    assert await box.get("state") == {"bots": [bot], "users": users, "clock": {"now": ANY, "offset_s": 0.0}}
    assert await box.get("users") == users
    assert await box.get("samples") == [{"title": "A song", "url": "http://127.0.0.1:1/a.mp3"}]
    added = await box.post("users", {"first_name": "Eve", "username": "eve_1", "language_code": "de"})
    assert added == user(1003, "Eve", username="eve_1", language_code="de")
    await box.post("users", {"first_name": "Eve", "id": 1003}, status=409)
    assert (await box.result("sendMessage", chat_id=1003, text="hi"))["chat"]["first_name"] == "Eve"


async def test_a_chat_is_read_whole_or_from_where_it_changed(box: Sandbox) -> None:
    sent = await box.write("/start see https://x.org/a")
    assert sent == {"update_id": 100_000_001, "message_id": 1}
    await box.result("sendMessage", chat_id=ALICE, text="hi", reply_markup=MARKUP, reply_to_message_id=1)
    await box.result("sendMessage", chat_id=BORIS, text="other chat")
    chat = await box.get(f"users/{ALICE}/messages")
    first = {
        "message_id": 1,
        "chat_id": ALICE,
        "seq": 1,
        "date": ANY,
        "edit_date": None,
        "author": "user",
        "text": "/start see https://x.org/a",
        "entities": [
            {"type": "bot_command", "offset": 0, "length": 6},
            {"type": "url", "offset": 11, "length": 15},
        ],
        "reply_to_message_id": None,
        "attachment": None,
        "keyboard": None,
        "trace_ids": [],
    }
    second = {
        **first,
        "message_id": 2,
        "seq": 2,
        "author": "bot",
        "text": "hi",
        "entities": [],
        "reply_to_message_id": 1,
        "keyboard": MARKUP["inline_keyboard"],
    }
    assert chat == {"seq": 3, "messages": [first, second]}
    await box.result("editMessageText", chat_id=ALICE, message_id=2, text="edited")
    edited = {**second, "seq": 4, "text": "edited", "keyboard": None, "edit_date": ANY}
    assert await box.get(f"users/{ALICE}/messages?after_seq=3") == {"seq": 4, "messages": [edited]}
    assert await box.get("messages/2") == edited
    assert await box.get("messages/9", status=404) == {"error": ANY}
    reply = await box.post(f"users/{ALICE}/messages", {"text": "answer", "reply_to_message_id": 2})
    (*_, update) = await box.result("getUpdates")
    assert update["message"]["reply_to_message"]["message_id"] == 2
    assert reply["message_id"] == update["message"]["message_id"]


async def test_presses_follow_the_keyboard_unless_forced(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="hi", reply_markup=MARKUP)
    presses = f"users/{ALICE}/presses"
    await box.post(presses, {"message_id": 1, "text": "Go"})
    await box.post(presses, {"message_id": 1, "callback_data": "go"})
    for wrong in ({"text": "Stop"}, {"text": "Site"}, {"callback_data": "stop"}):
        assert await box.post(presses, {"message_id": 1, **wrong}, status=409) == {"error": ANY}
    await box.post(f"users/{BORIS}/presses", {"message_id": 1, "text": "Go"}, status=409)
    await box.post(presses, {"message_id": 5, "text": "Go"}, status=404)
    await box.post(presses, {"message_id": 5, "callback_data": "foreign", "force": True})
    await box.post(presses, {"message_id": 1}, status=400)
    queries = [update["callback_query"] for update in await box.result("getUpdates")]
    assert [query["data"] for query in queries] == ["go", "go", "foreign"]
    assert queries[2]["message"] == {
        "chat": {"id": ALICE, "first_name": "Alice", "type": "private"},
        "message_id": 5,
        "date": 0,
    }


async def test_a_users_file_can_be_fetched_and_played(box: Sandbox) -> None:
    status, sent = await box.upload(
        f"sandbox/users/{ALICE}/files",
        kind="audio",
        caption="listen",
        duration=3,
        file=("звук.mp3", b"0123456789"),
    )
    assert (status, sent) == (200, {"update_id": 100_000_001, "message_id": 1})
    (message,) = await box.chat()
    attachment = message["attachment"]
    assert attachment == {
        "kind": "audio",
        "file_id": ANY,
        "file_name": "звук.mp3",
        "mime_type": "audio/mpeg",
        "file_size": 10,
        "duration": 3,
        "title": None,
        "performer": None,
        "url": f"/sandbox/files/{attachment['file_id']}",
    }
    assert message["text"] == "listen"
    async with box.http.get(box.url + attachment["url"], headers={"Range": "bytes=2-4"}) as response:
        assert (response.status, await response.read()) == (206, b"234")
        assert response.headers["Content-Type"] == "audio/mpeg"
        assert response.headers["Content-Disposition"] == "inline"
    _, page = await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("x.html", b"<script>"))
    async with box.http.get(f"{box.url}/sandbox/files/{page['result']['document']['file_id']}") as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Content-Disposition"] == "attachment"
    for parts in (
        {"kind": "audio"},
        {"kind": "song", "file": ("a", b"x")},
        {"kind": "photo", "file": ("a", b"x")},
    ):
        status, body = await box.upload(f"sandbox/users/{ALICE}/files", **parts)
        assert (status, list(body)) == (400, ["error"])


async def test_calls_are_logged_without_polls(box: Sandbox) -> None:
    await box.result("getUpdates", limit=1)
    async with box.http.post(
        f"{box.url}/bot{TOKEN}/SendMessage", data={"chat_id": "1001", "text": "x"}, headers={"X-Mark": "1"}
    ) as response:
        assert response.status == 200
    await box.refusal("sendMessage", chat_id=5, text="y")
    await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("a.txt", b"abc"))
    calls = (await box.get("calls"))["calls"]
    assert [(call["method"], call["status"]) for call in calls] == [
        ("sendMessage", 200),
        ("sendMessage", 400),
        ("sendDocument", 200),
    ]
    assert calls[0] == {
        "seq": ANY,
        "method": "sendMessage",
        "params": {"chat_id": "1001", "text": "x"},
        "headers": ANY,
        "status": 200,
        "bot_id": 42,
        "at": ANY,
    }
    assert calls[0]["headers"]["x-mark"] == "1"
    assert calls[2]["params"] == {"chat_id": "1001", "document": {"file_name": "a.txt", "size": 3}}
    later = await box.get(f"calls?method=sendmessage&after={calls[0]['seq']}")
    assert [call["seq"] for call in later["calls"]] == [calls[1]["seq"]]
    polls = (await box.get("calls?method=getUpdates"))["calls"]
    assert [call["params"] for call in polls] == [{"limit": "1"}]
    assert TOKEN.partition(":")[2] not in json.dumps(calls + polls)


async def test_the_log_of_calls_is_bounded_in_what_it_keeps_of_each(box: Sandbox) -> None:
    await box.refusal("sendMessage", chat_id=ALICE, text="x" * 100_000)
    await box.refusal("sendMessage", **{f"p{number}": "x" * 10_000 for number in range(50)})
    await box.refusal("sendMessage", **{"n" * 100_000: "x"})
    await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("n" * 2000, b"abc"))
    long, many, named, file = (call["params"] for call in (await box.get("calls"))["calls"])
    assert long == {"chat_id": str(ALICE), "text": "x" * 8192}
    assert len(json.dumps(many)) < 70_000
    assert named == {}
    assert file["document"] == {"file_name": "n" * 256, "size": 3}


async def test_beyond_a_limit_the_oldest_message_is_forgotten(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sandbox.world.MESSAGES_LIMIT", 3)
    for number in range(4):
        await box.result("sendMessage", chat_id=ALICE, text=f"m{number}")
    assert [message["text"] for message in await box.chat()] == ["m1", "m2", "m3"]
    not_found = await box.refusal("editMessageText", chat_id=ALICE, message_id=1, text="x")
    assert not_found == "400 Bad Request: message to edit not found"
    await box.result("editMessageText", chat_id=ALICE, message_id=2, text="x")


async def test_the_clock_only_goes_forward(box: Sandbox) -> None:
    before = (await box.get("clock"))["now"]
    moved = await box.post("clock", {"advance_s": 3600})
    assert moved["offset_s"] == 3600.0
    assert 3600 <= moved["now"] - before < 3610
    assert (await box.result("sendMessage", chat_id=ALICE, text="x"))["date"] >= int(before) + 3600
    for wrong in (-1, 1e12, "1", None):
        await box.post("clock", {"advance_s": wrong}, status=400)


async def test_a_reset_forgets_the_past_but_not_the_numbers(box: Sandbox) -> None:
    await box.write("hi")
    await box.post("users", {"first_name": "Eve"})
    await box.post("faults", {"method": "*", "kind": "error"})
    assert await box.post("reset") == {}
    assert await box.chat() == []
    assert await box.get("faults") == []
    assert await box.get("calls") == {"calls": []}
    assert await box.result("getUpdates") == []
    assert len(await box.get("users")) == 4
    assert await box.write("hi") == {"update_id": 100_000_002, "message_id": 2}


async def test_several_bots_live_apart(box: Sandbox) -> None:
    await box.call("getMe", token="43:other")
    await box.post(f"users/{ALICE}/messages?bot_id=42", {"text": "to 42"})
    await box.write("to the youngest")
    texts = {}
    for bot_id in (42, 43):
        chat = await box.get(f"users/{ALICE}/messages?bot_id={bot_id}")
        texts[bot_id] = [(message["message_id"], message["text"]) for message in chat["messages"]]
    assert texts == {42: [(1, "to 42")], 43: [(1, "to the youngest")]}
    await box.get("messages/1?bot_id=99", status=404)


async def events_of(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    name = ""
    async with asyncio.timeout(5):
        while len(found) < count:
            line = (await response.content.readline()).decode().rstrip("\n")
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found


async def test_the_page_hears_of_everything(box: Sandbox) -> None:
    async with box.http.get(f"{box.url}/sandbox/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert await stream.content.readline() == b": connected\n"
        await box.result("sendMessage", chat_id=ALICE, text="hi", reply_markup=MARKUP)
        pressed = await box.post(f"users/{ALICE}/presses", {"message_id": 1, "text": "Go"})
        query_id = pressed["callback_query_id"]
        await box.result("answerCallbackQuery", callback_query_id=query_id, text="ok", show_alert=True)
        await box.result("sendChatAction", chat_id=ALICE, action="typing")
        await box.result("editMessageText", chat_id=ALICE, message_id=1, text="bye")
        await box.result("deleteMessage", chat_id=ALICE, message_id=1)
        user = await box.post("users", {"first_name": "Eve"})
        await box.post("reset")
        events = await events_of(stream, 7)
    where = {"bot_id": 42, "chat_id": ALICE}
    answer = {**where, "callback_query_id": query_id, "text": "ok", "show_alert": True, "url": None}
    assert [name for name, _ in events if name == "message"] == ["message", "message"]
    assert events[0][1] == {**where, "message": ANY}
    assert events[0][1]["message"]["keyboard"] == MARKUP["inline_keyboard"]
    assert events[3][1]["message"]["text"] == "bye"
    assert [event for event in events if event[0] != "message"] == [
        ("callback_answer", answer),
        ("chat_action", {**where, "action": "typing"}),
        ("deleted", {**where, "message_id": 1}),
        ("user", user),
        ("reset", {}),
    ]
