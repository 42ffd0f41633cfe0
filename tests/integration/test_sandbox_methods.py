"""The Bot API of the sandbox: what methods answer, and what they refuse in the original's words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import pytest

from app.sandbox.server import FloodLimits
from tests.kit.sandbox_client import ALICE, BORIS, TOKEN, Sandbox, running_sandbox

BOT = {"id": 42, "is_bot": True, "first_name": "Sandbox Bot", "username": "sandbox_42_bot"}
ALICE_USER = {"id": ALICE, "is_bot": False, "first_name": "Alice", "username": "alice", "language_code": "en"}
ALICE_CHAT = {"id": ALICE, "first_name": "Alice", "username": "alice", "type": "private"}
NOT_MODIFIED = (
    "400 Bad Request: message is not modified: specified new message content and reply markup are exactly the same as"
    " a current content and reply markup of the message"
)
TOO_OLD = "400 Bad Request: query is too old and response timeout expired or query ID is invalid"


def keyboard(*buttons: Any) -> dict[str, Any]:
    return {"inline_keyboard": [list(buttons)]}


def button(text: str = "Go", data: str = "go") -> dict[str, str]:
    return {"text": text, "callback_data": data}


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


async def test_every_encoding_and_http_method_means_the_same(box: Sandbox) -> None:
    url = f"{box.url}/bot{TOKEN}"
    fields = {"chat_id": "1001", "text": "hi"}
    answers = []
    async with box.http.get(f"{url}/sendMessage", params=fields) as response:
        answers.append(await response.json())
    async with box.http.get(f"{url}/SENDmessage", data=fields) as response:
        answers.append(await response.json())
    async with box.http.post(f"{url}/sendmessage", json={"chat_id": 1001, "text": "hi"}) as response:
        answers.append(await response.json())
    answers.append((await box.upload(f"bot{TOKEN}/sendMessage", **fields))[1])
    assert answers == [
        {
            "ok": True,
            "result": {"message_id": number, "from": BOT, "chat": ALICE_CHAT, "date": ANY, "text": "hi"},
        }
        for number in (1, 2, 3, 4)
    ]


async def test_get_me_and_unknown_methods(box: Sandbox) -> None:
    me = await box.result("getMe")
    assert {name: me[name] for name in BOT} == BOT
    assert all(value is False for name, value in me.items() if name not in BOT)
    unknown = {"ok": False, "error_code": 404, "description": "Not Found: method not found"}
    assert await box.call("sendInvoice") == unknown
    assert await box.call("") == unknown


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({}, "message text is empty"),
        ({"text": ""}, "message text is empty"),
        ({"text": " \n "}, "text must be non-empty"),
        ({"text": "x"}, "chat_id is empty"),
        ({"text": "x", "chat_id": 7}, "chat not found"),
        ({"text": "x", "chat_id": -1001}, "chat not found"),
        ({"text": "x", "chat_id": "@alice"}, "chat not found"),
        ({"text": "x" * 4097, "chat_id": ALICE}, "message is too long"),
        ({"text": "😀" * 2049, "chat_id": ALICE}, "message is too long"),
        ({"text": "x" * 32769, "chat_id": ALICE}, "text is too long"),
        ({"text": "x", "chat_id": ALICE, "parse_mode": "BBCode"}, "unsupported parse_mode"),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": "{"},
            "can't parse reply keyboard markup JSON object",
        ),
        ({"text": "x", "chat_id": ALICE, "reply_markup": []}, "object expected as reply markup"),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": {"inline_keyboard": [{}]}},
            'field "inline_keyboard" must be an Array of Arrays',
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": keyboard("x")},
            "can't parse inline keyboard button: InlineKeyboardButton must be an Object",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": keyboard({"text": "x"})},
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": keyboard({"callback_data": "x"})},
            "can't parse inline keyboard button: Can't find field \"text\"",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": keyboard(button(data="ж" * 33))},
            "BUTTON_DATA_INVALID",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": keyboard({"text": "x", "url": "no where"})},
            "inline keyboard button URL 'no where' is invalid: Wrong HTTP URL",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_markup": {"inline_keyboard": [[button()]] * 101}},
            "reply markup is too long",
        ),
        (
            {"text": "x", "chat_id": ALICE, "reply_parameters": {"message_id": 9}},
            "message to be replied not found",
        ),
        ({"text": "x", "chat_id": ALICE, "reply_to_message_id": 9}, "message to be replied not found"),
    ],
)
async def test_send_message_refuses(box: Sandbox, params: dict[str, Any], refusal: str) -> None:
    assert await box.refusal("sendMessage", **params) == f"400 Bad Request: {refusal}"
    assert await box.chat() == []


async def test_send_message_takes_the_longest_text_data_and_reply(box: Sandbox) -> None:
    first = await box.result("sendMessage", chat_id=ALICE, text="😀" * 2048)
    assert len(first["text"]) == 2048
    markup = keyboard(
        {**button(data="ж" * 32), "style": "primary"}, {"text": "Site", "url": "https://example.com"}
    )
    reply = await box.result(
        "sendMessage", chat_id="1001", text="x", reply_markup=markup, reply_parameters={"message_id": 1}
    )
    shown = keyboard(
        {**button(data="ж" * 32), "style": "primary"}, {"text": "Site", "url": "https://example.com/"}
    )
    assert reply == {
        "message_id": 2,
        "from": BOT,
        "chat": ALICE_CHAT,
        "date": ANY,
        "reply_to_message": first,
        "text": "x",
        "reply_markup": shown,
    }
    lenient = {"message_id": 99, "allow_sending_without_reply": True}
    free = await box.result("sendMessage", chat_id=ALICE, text="y", reply_parameters=lenient)
    assert "reply_to_message" not in free


async def test_edits(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="a", reply_markup=keyboard(button()))
    await box.write("mine")
    edit = {"chat_id": ALICE, "message_id": 1}
    same = {**edit, "text": "<i></i>a", "parse_mode": "HTML", "reply_markup": keyboard(button())}
    assert await box.refusal("editMessageText", **same) == NOT_MODIFIED
    edited = await box.result("editMessageText", **edit, text="a")
    assert edited == {
        "message_id": 1,
        "from": BOT,
        "chat": ALICE_CHAT,
        "date": ANY,
        "edit_date": ANY,
        "text": "a",
    }
    assert await box.refusal("editMessageReplyMarkup", **edit) == NOT_MODIFIED
    marked = await box.result("editMessageReplyMarkup", **edit, reply_markup=keyboard(button()))
    assert marked["reply_markup"] == keyboard(button())
    refusals: list[tuple[str, dict[str, Any], str]] = [
        ("editMessageText", {**edit, "text": ""}, "message text is empty"),
        ("editMessageText", {"text": "x"}, "message identifier is not specified"),
        ("editMessageText", {"text": "x", "inline_message_id": "x"}, "MESSAGE_ID_INVALID"),
        ("editMessageText", {"chat_id": ALICE, "message_id": 9, "text": "x"}, "message to edit not found"),
        ("editMessageText", {"chat_id": BORIS, "message_id": 1, "text": "x"}, "message to edit not found"),
        ("editMessageText", {"chat_id": ALICE, "message_id": 2, "text": "x"}, "message can't be edited"),
        ("editMessageCaption", {**edit, "caption": "x"}, "there is no caption in the message to edit"),
        ("editMessageMedia", {**edit, "media": "{"}, "can't parse input media JSON object"),
        (
            "editMessageMedia",
            {**edit, "media": {"type": "photo", "media": "https://x.org/a.jpg"}},
            "wrong file identifier/HTTP URL specified",
        ),
    ]
    for method, params, refusal in refusals:
        assert await box.refusal(method, **params) == f"400 Bad Request: {refusal}"


async def test_deletes(box: Sandbox) -> None:
    for _ in range(4):
        await box.result("sendMessage", chat_id=ALICE, text="x")
    assert await box.result("deleteMessage", chat_id=ALICE, message_id=1) is True
    assert await box.refusal("deleteMessage", chat_id=ALICE, message_id=1) == (
        "400 Bad Request: message to delete not found"
    )
    assert await box.result("deleteMessages", chat_id=ALICE, message_ids=[2, 77]) is True
    assert await box.refusal("deleteMessages", chat_id=ALICE, message_ids=list(range(1, 102))) == (
        "400 Bad Request: too many message identifiers specified"
    )
    await box.post("clock", {"advance_s": 48 * 3600 + 5})
    assert await box.refusal("deleteMessage", chat_id=ALICE, message_id=3) == (
        "400 Bad Request: message can't be deleted for everyone"
    )
    assert [message["message_id"] for message in await box.chat()] == [3, 4]


async def test_a_press_is_answered_once_and_in_time(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="a", reply_markup=keyboard(button()))
    press = {"message_id": 1, "callback_data": "go"}
    query_id = (await box.post(f"users/{ALICE}/presses", press))["callback_query_id"]
    (update,) = await box.result("getUpdates")
    assert update["callback_query"] == {
        "id": query_id,
        "from": ALICE_USER,
        "message": ANY,
        "chat_instance": ANY,
        "data": "go",
    }
    long = {"callback_query_id": query_id, "text": "x" * 201}
    assert await box.refusal("answerCallbackQuery", **long) == "400 Bad Request: MESSAGE_TOO_LONG"
    assert await box.result("answerCallbackQuery", callback_query_id=query_id, text="x" * 200) is True
    assert await box.refusal("answerCallbackQuery", callback_query_id=query_id) == TOO_OLD
    assert await box.refusal("answerCallbackQuery", callback_query_id="7") == TOO_OLD
    late = (await box.post(f"users/{ALICE}/presses", press))["callback_query_id"]
    await box.post("clock", {"advance_s": 31})
    assert await box.refusal("answerCallbackQuery", callback_query_id=late) == TOO_OLD


async def test_flood_limits_follow_the_virtual_clock() -> None:
    async with running_sandbox(flood=FloodLimits(bot_rate=10, bot_burst=5, chat_rate=1, chat_burst=3)) as box:
        for _ in range(3):
            await box.result("sendMessage", chat_id=ALICE, text="x")
        assert await box.call("sendMessage", chat_id=ALICE, text="x") == {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 1",
            "parameters": {"retry_after": 1},
        }
        await box.result("sendMessage", chat_id=BORIS, text="x")
        edit = {"chat_id": ALICE, "message_id": 1, "text": "y"}
        assert (await box.refusal("editMessageText", **edit)).startswith("429 ")
        await box.post("clock", {"advance_s": 1})
        assert (await box.result("editMessageText", **edit))["text"] == "y"
        await box.post("clock", {"advance_s": 60})
        sent = [await box.call("sendMessage", chat_id=ALICE, text="x") for _ in range(5)]
        assert [answer["ok"] for answer in sent] == [True, True, True, False, False]


async def test_thirty_messages_a_second_is_the_default_limit_of_a_bot(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 6):
        await box.post("users", {"first_name": f"User {number}"})
    users = [user["id"] for user in await box.get("users")]
    now = time.time()
    monkeypatch.setattr("app.sandbox.clock.Clock.now", lambda _: now)
    sends = [box.call("sendMessage", chat_id=users[number % 7], text="x") for number in range(60)]
    answers = await asyncio.gather(*sends)
    refused = [answer for answer in answers if not answer["ok"]]
    assert len(refused) == 30
    assert {answer["parameters"]["retry_after"] for answer in refused} == {1}
