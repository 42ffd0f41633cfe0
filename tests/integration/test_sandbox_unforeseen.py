"""What cannot be written as UTF-8 or hashed is refused in words, and what nobody foresaw is answered with a 500."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from app.sandbox.methods import METHODS
from tests.kit.sandbox_client import TOKEN, Sandbox, running_sandbox

MULTIPART = "multipart/form-data; boundary=b"


@pytest.fixture
async def box(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Sandbox]:
    """A sandbox to whose events a page listens, and that must not have logged any error at the end."""
    async with running_sandbox() as box, box.http.get(f"{box.url}/sandbox/events"):
        yield box
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_half_a_surrogate_pair_inside_json_is_no_json(box: Sandbox) -> None:
    markup = '{"inline_keyboard":[[{"text":"\\ud800","callback_data":"\\udfff"}]]}'
    refusal = await box.refusal("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    assert refusal == "400 Bad Request: can't parse reply keyboard markup JSON object"
    for body in ('{"poll":{"id":"\\ud800"}}', '{"poll":{"id":NaN}}', '{"poll":{"id":1e999}}'):
        async with box.http.post(f"{box.url}/sandbox/updates", data=body) as response:
            assert response.status == 400


NAMES_THAT_ARE_NO_UTF8 = ['name="file"; filename="\xff\xfe.mp3"', 'name="\xff\xfe"; filename="a.mp3"']


@pytest.mark.parametrize("named", NAMES_THAT_ARE_NO_UTF8)
async def test_a_file_whose_name_is_no_utf8_is_refused(box: Sandbox, named: str) -> None:
    disposition = b"Content-Disposition: form-data; " + named.encode("latin-1")
    body = b"--b\r\nContent-Disposition: form-data; name=kind\r\n\r\naudio\r\n--b\r\n" + disposition
    body += b"\r\n\r\nsound\r\n--b--\r\n"
    for door in ("sandbox/users/1001/files", f"bot{TOKEN}/sendAudio?chat_id=1001&audio=attach://file"):
        async with box.http.post(
            f"{box.url}/{door}", data=body, headers={"Content-Type": MULTIPART}
        ) as response:
            assert response.status == 400
            assert "strings must be encoded in UTF-8" in await response.text()
    assert await box.chat() == []


@pytest.mark.parametrize("kind", [[], {}, None, 1])
async def test_a_nested_type_is_refused_in_words(box: Sandbox, kind: object) -> None:
    scope = "400 Bad Request: can't parse BotCommandScope: Unsupported type specified"
    reaction = "400 Bad Request: can't parse ReactionType: invalid reaction type specified"
    assert await box.refusal("getMyCommands", scope={"type": kind}) == scope
    params = {"chat_id": 1001, "message_id": 1, "reaction": [{"type": kind}]}
    assert await box.refusal("setMessageReaction", **params) == reaction


async def test_an_error_that_nobody_foresaw_is_answered_and_leaves_only_its_type_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: object) -> object:
        raise TypeError("a secret text")

    monkeypatch.setitem(METHODS, "sendMessage", broken)
    async with running_sandbox() as box:
        assert await box.refusal("sendMessage", chat_id=1001, text="x") == "500 Internal Server Error"
        assert (await box.get("calls"))["calls"][0]["status"] == 500
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["TypeError in sendMessage"]
    assert "secret" not in caplog.text
