"""Faults that a test orders: errors, delays, dropped connections and broken answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.kit.sandbox_client import ALICE, TOKEN, Sandbox, running_sandbox


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


async def test_faults_meet_the_calls_that_they_name(box: Sandbox) -> None:
    fault = await box.post(
        "faults", {"method": "sendmessage", "kind": "error", "error_code": 429, "retry_after": 3, "times": 2}
    )
    assert fault == {
        "id": 1,
        "method": "sendMessage",
        "kind": "error",
        "error_code": 429,
        "description": None,
        "retry_after": 3,
        "delay_s": 0.0,
        "times": 2,
        "after": False,
    }
    send: dict[str, Any] = {"chat_id": ALICE, "text": "x"}
    flood = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 3",
        "parameters": {"retry_after": 3},
    }
    assert await box.call("sendMessage", **send) == flood
    assert await box.get("faults") == [{**fault, "times": 1}]
    assert await box.call("sendMessage", **send) == flood
    assert (await box.call("sendMessage", **send))["ok"]
    blocked = {"error_code": 403, "description": "Forbidden: bot was blocked by the user"}
    await box.post("faults", {"method": "*", "kind": "error", **blocked})
    assert await box.result("getUpdates") == []
    assert await box.refusal("getMe") == "403 Forbidden: bot was blocked by the user"
    await box.post("faults", {"method": "*", "kind": "error"})
    assert await box.delete("faults") == {}
    assert await box.get("faults") == []
    assert (await box.call("getMe"))["ok"]


async def test_delayed_dropped_and_broken_answers(box: Sandbox) -> None:
    send: dict[str, Any] = {"chat_id": ALICE, "text": "x"}
    await box.post("faults", {"method": "sendMessage", "kind": "delay", "delay_s": 0.2})
    started = asyncio.get_running_loop().time()
    assert (await box.call("sendMessage", **send))["ok"]
    assert asyncio.get_running_loop().time() - started >= 0.2
    for after, messages in ((False, 1), (True, 2)):
        await box.post("faults", {"method": "sendMessage", "kind": "drop", "after": after})
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await box.call("sendMessage", **send)
        assert len(await box.chat()) == messages
    await box.post("faults", {"method": "getMe", "kind": "bad_json"})
    with pytest.raises(json.JSONDecodeError):
        await box.call("getMe")
    _, body = await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("a.txt", b"abc"))
    path = (await box.result("getFile", file_id=body["result"]["document"]["file_id"]))["file_path"]
    await box.post("faults", {"method": "file", "kind": "error", "error_code": 502})
    async with box.http.get(f"{box.url}/file/bot{TOKEN}/{path}") as response:
        assert (response.status, (await response.json())["description"]) == (502, "Bad Gateway")
    async with box.http.get(f"{box.url}/file/bot{TOKEN}/{path}") as response:
        assert await response.read() == b"abc"
