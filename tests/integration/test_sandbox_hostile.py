"""No door of the sandbox answers nonsense with a 500, and none hangs on it."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.kit.sandbox_client import TOKEN, Sandbox, running_sandbox

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PROTOBUF = "application/x-protobuf"

NASTY_VALUES: list[object] = [
    None,
    True,
    -1,
    2**63,
    1.5,
    "",
    "\0",
    "\ud800",
    "9" * 5000,
    "²",
    "<b>",
    "{",
    "[[[[",
    [],
    {},
    [None],
    [[None]],
    {"type": None},
    {"type": []},
    [{"type": {}}],
    [{"type": "photo", "media": 1}],
    {"inline_keyboard": [[{"text": "x", "callback_data": {}}]]},
    {"keyboard": 5},
    {"inline_keyboard": [[{"text": "\ud800", "callback_data": "\udfff"}]]},
    {"inline_keyboard": [[{"text": "x", "callback_data": "x", "style": "loud"}]]},
    [{"type": "text_link", "offset": 0, "length": 1, "url": 7}],
    [{"type": "custom_emoji", "offset": 0, "length": 1}],
    {"id": float("nan"), "from": {"id": "x"}, "chat": []},
]
FIELDS = [
    "chat_id",
    "from_chat_id",
    "message_id",
    "message_ids",
    "text",
    "caption",
    "entities",
    "caption_entities",
    "parse_mode",
    "reply_markup",
    "reply_parameters",
    "media",
    "photo",
    "audio",
    "document",
    "file_id",
    "callback_query_id",
    "commands",
    "scope",
    "language_code",
    "menu_button",
    "reaction",
    "url",
    "secret_token",
    "max_connections",
    "allowed_updates",
    "offset",
    "limit",
    "action",
    "user_id",
    "draft_id",
    "name",
]


@pytest.fixture
async def box(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sandbox]:
    """A sandbox that must not have logged any error at the end."""
    async with running_sandbox() as box, box.http.get(f"{box.url}/sandbox/events"):
        yield box
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


BODIES = [
    (JSON, b"{"),
    (JSON, b"[1]"),
    (JSON, b"\xff\xfe"),
    (JSON, b"[" * 100_000),
    (JSON, b'{"chat_id":' + b"9" * 6000 + b"}"),
    (FORM, b"text=%ff%fe&chat_id=1001"),
    (FORM, b"\xff"),
    (FORM, b"&".join(b"a%d=1" % n for n in range(1000))),
    (MULTIPART, b""),
    (MULTIPART, b"--b\r\n"),
    (MULTIPART, b"--b\r\n\r\nx\r\n--b--\r\n"),
    (
        MULTIPART,
        b"--b\r\nContent-Disposition: form-data; name=text\r\nContent-Transfer-Encoding: x\r\n\r\nx\r\n--b--\r\n",
    ),
    (
        MULTIPART,
        b"--b\r\nContent-Disposition: form-data; name=text\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n--b--",
    ),
    (
        MULTIPART,
        b"--b\r\nContent-Disposition: form-data; name=text; filename=x\r\nContent-Encoding: zip\r\n\r\nx\r\n--b--",
    ),
    (MULTIPART, b"--b\r\n" + b"A: b\r\n" * 5000),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=" + "b" * 100, b"x"),
    ("text/plain", b"anything"),
]


@pytest.mark.parametrize(("content_type", "body"), BODIES)
async def test_a_body_that_is_not_what_it_says_is_the_callers_mistake(
    box: Sandbox, content_type: str, body: bytes
) -> None:
    for door in (f"bot{TOKEN}/sendMessage", "sandbox/users/1001/messages", "sandbox/users/1001/files"):
        async with box.http.post(
            f"{box.url}/{door}", data=body, headers={"Content-Type": content_type}
        ) as response:
            assert response.status == 400
            assert await response.json()


async def test_nonsense_in_every_parameter_of_every_method_is_refused_or_taken_but_never_breaks(
    box: Sandbox,
) -> None:
    from app.sandbox.methods import METHODS

    dice = random.Random(20261122)
    await box.result("sendMessage", chat_id=1001, text="something to edit")
    for method in METHODS:
        for _ in range(25):
            params = {name: dice.choice(NASTY_VALUES) for name in dice.sample(FIELDS, 6)}
            params |= dice.choice([{}, {"chat_id": 1001}, {"chat_id": 1001, "message_id": 1, "text": "t"}])
            params.pop("timeout", None)
            async with box.http.post(
                f"{box.url}/bot{TOKEN}/{method}", data=json.dumps(params), headers={"Content-Type": JSON}
            ) as response:
                assert response.status in (200, 400, 409, 429), (method, params)
                body = await response.json()
                assert body["ok"] is (response.status == 200)
        await box.call("deleteWebhook", drop_pending_updates=True)


async def test_nonsense_in_every_field_of_the_control_api_is_refused(box: Sandbox) -> None:
    doors = {
        "users": ["first_name", "id", "username", "language_code"],
        "users/1001/messages": ["text", "reply_to_message_id"],
        "users/1001/presses": ["message_id", "callback_data", "text", "force"],
        "faults": ["method", "kind", "error_code", "description", "retry_after", "delay_s", "times", "after"],
        "updates": ["message", "callback_query", "nonsense"],
        "clock": ["advance_s"],
    }
    for path, fields in doors.items():
        for value in NASTY_VALUES:
            for name in fields:
                body = json.dumps({"text": "t", name: value} if name != "text" else {name: value})
                async with box.http.post(f"{box.url}/sandbox/{path}", data=body) as response:
                    assert response.status in (200, 400, 404, 409), (path, body)
                    await response.json()
    for path in (
        "users/x/messages",
        "users/9/messages",
        "messages/99999999999999999999",
        "traces/zz",
        "nothing",
        "",
    ):
        async with box.http.get(f"{box.url}/sandbox/{path}") as response:
            assert response.status == 404
            assert list(await response.json()) == ["error"]
    for query in (
        "messages/1?bot_id=x",
        "calls?after=-1",
        "traces?limit=1e9",
        "users/1001/messages?after_seq=²",
    ):
        async with box.http.get(f"{box.url}/sandbox/{query}") as response:
            assert response.status == 400


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
async def test_a_malformed_export_is_refused(box: Sandbox, signal: str) -> None:
    url = f"{box.url}/v1/{signal}"
    dice = random.Random(7)
    for body in [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a" * 999]:
        async with box.http.post(url, data=body, headers={"Content-Type": PROTOBUF}) as response:
            assert response.status == 400
    for _ in range(100):
        async with box.http.post(
            url, data=dice.randbytes(60), headers={"Content-Type": PROTOBUF}
        ) as response:
            assert response.status in (200, 400)
    broken_gzip = {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}
    for body in (b"not gzip", gzip.compress(b"\x0a\xff\xff" * 500)[:-12]):
        async with box.http.post(url, data=body, headers=broken_gzip, compress=False) as response:
            assert response.status == 400
    bomb = gzip.compress(bytes(40 * 1024 * 1024))
    async with box.http.post(url, data=bomb, headers=broken_gzip, compress=False) as response:
        assert response.status == 413
    async with box.http.post(url, json={}) as response:
        assert response.status == 415


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "42",
        "42:",
        "42:a",
        "042:abc",
        "42:a b c",
        "42:TEST-other",
        "4" * 30 + ":abc",
        "42:" + "a" * 100,
    ],
)
async def test_a_token_that_is_none_is_unauthorized(box: Sandbox, token: str) -> None:
    async with box.http.get(f"{box.url}/bot{token}/getMe") as response:
        assert response.status == 401
        assert (await response.json())["description"].startswith("Unauthorized")
    async with box.http.get(f"{box.url}/file/bot{token}/music/file_1.mp3") as response:
        assert response.status == 401


async def test_too_many_bots_are_turned_away(box: Sandbox) -> None:
    for number in range(1, 100):
        await box.result("getMe", token=f"{1000 + number}:abc")
    assert await box.refusal("getMe", token="5000:abc") == "401 Unauthorized"


async def test_an_upload_over_fifty_megabytes_is_refused_and_leaves_nothing(box: Sandbox) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n\r\n'
        for _ in range(52):
            yield bytes(1024 * 1024)
        yield b"\r\n--b--\r\n"

    url = f"{box.url}/bot{TOKEN}/sendDocument?chat_id=1001"
    async with box.http.post(url, data=endless(), headers={"Content-Type": MULTIPART}) as response:
        assert response.status == 413
        assert await response.json() == {
            "ok": False,
            "error_code": 413,
            "description": "Request Entity Too Large",
        }
    assert await box.chat() == []


async def test_an_upload_whose_sender_goes_away_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    head = (
        f"POST /bot{TOKEN}/sendDocument HTTP/1.1\r\nHost: x\r\nContent-Type: {MULTIPART}\r\nContent-Length: 999999\r\n"
        '\r\n--b\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n\r\n'
    )
    async with running_sandbox() as box:
        (folder,) = tmp_path.iterdir()
        _, writer = await asyncio.open_connection("127.0.0.1", int(box.url.rpartition(":")[2]))
        writer.write(head.encode() + bytes(200_000))
        await writer.drain()
        await until(lambda: len(list(folder.iterdir())) == 1)
        writer.close()
        await writer.wait_closed()
        await until(lambda: not list(folder.iterdir()))
        assert await box.chat() == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.01)
