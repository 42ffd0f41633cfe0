"""How bots fetch their updates: getUpdates with its rules, lives and second deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.kit.sandbox_client import ALICE, TOKEN, Sandbox, running_sandbox

FIRST = 100_000_001
WEBHOOK_ACTIVE = "409 Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
OTHER_POLLER = (
    "409 Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


def ids(updates: list[dict[str, Any]]) -> list[int]:
    return [update["update_id"] for update in updates]


async def test_an_offset_confirms_everything_before_it(box: Sandbox) -> None:
    for number in range(4):
        assert await box.write(f"m{number}") == {"update_id": FIRST + number, "message_id": number + 1}
    updates = await box.result("getUpdates", limit=2)
    assert updates[0] == {
        "update_id": FIRST,
        "message": {
            "message_id": 1,
            "from": {
                "id": ALICE,
                "is_bot": False,
                "first_name": "Alice",
                "username": "alice",
                "language_code": "en",
            },
            "chat": {"id": ALICE, "first_name": "Alice", "username": "alice", "type": "private"},
            "date": ANY,
            "text": "m0",
        },
    }
    assert ids(updates) == [FIRST, FIRST + 1]
    assert ids(await box.result("getUpdates")) == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
    assert ids(await box.result("getUpdates", offset=FIRST + 2)) == [FIRST + 2, FIRST + 3]
    assert ids(await box.result("getUpdates", offset=FIRST)) == [FIRST + 2, FIRST + 3]
    assert ids(await box.result("getUpdates", offset=-1)) == [FIRST + 3]
    assert ids(await box.result("getUpdates", offset=FIRST + 4)) == []


async def test_a_long_poll_ends_with_the_first_update(box: Sandbox) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(box.result("getUpdates", timeout=20))
        await asyncio.sleep(0.05)
        assert not poll.done()
        await box.write("hi")
    assert ids(poll.result()) == [FIRST]
    assert await box.result("getUpdates", offset=FIRST + 1, timeout=1) == []


async def test_a_second_poller_ends_the_first(box: Sandbox) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(box.refusal("getUpdates", timeout=20))
        await asyncio.sleep(0.05)
        second = tasks.create_task(box.result("getUpdates", timeout=20))
        assert await first == OTHER_POLLER
        await box.write("hi")
    assert ids(second.result()) == [FIRST]


async def test_a_webhook_ends_and_forbids_polling(box: Sandbox) -> None:
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(box.refusal("getUpdates", timeout=20))
        await asyncio.sleep(0.05)
        set_up = {"ok": True, "result": True, "description": "Webhook was set"}
        assert await box.call("setWebhook", url="http://127.0.0.1:9/") == set_up
    assert poll.result() == "409 Conflict: terminated by setWebhook request"
    assert await box.refusal("getUpdates") == WEBHOOK_ACTIVE
    assert (await box.call("setWebhook", url="http://127.0.0.1:9/"))[
        "description"
    ] == "Webhook is already set"
    assert (await box.call("deleteWebhook"))["description"] == "Webhook was deleted"
    assert (await box.call("deleteWebhook"))["description"] == "Webhook is already deleted"
    assert await box.result("getUpdates") == []


async def test_updates_grow_old_on_the_virtual_clock(box: Sandbox) -> None:
    await box.write("hi")
    await box.post(f"users/{ALICE}/presses", {"message_id": 1, "callback_data": "x", "force": True})
    assert ids(await box.result("getUpdates")) == [FIRST, FIRST + 1]
    await box.post("clock", {"advance_s": 149})
    assert ids(await box.result("getUpdates")) == [FIRST, FIRST + 1]
    await box.post("clock", {"advance_s": 2})
    assert ids(await box.result("getUpdates")) == [FIRST]
    await box.post("clock", {"advance_s": 24 * 3600})
    assert await box.result("getUpdates") == []


async def test_types_that_are_not_allowed_are_never_queued(box: Sandbox) -> None:
    await box.result("getUpdates", allowed_updates=["callback_query"])
    assert (await box.write("hi"))["update_id"] is None
    press = {"message_id": 1, "callback_data": "x", "force": True}
    assert (await box.post(f"users/{ALICE}/presses", press))["update_id"] == FIRST
    assert (await box.result("getWebhookInfo"))["allowed_updates"] == ["callback_query"]
    assert ids(await box.result("getUpdates")) == [FIRST]
    await box.result("getUpdates", allowed_updates=[])
    assert (await box.write("hi"))["update_id"] == FIRST + 1
    member = {"chat_member": {"from": {"id": ALICE}}}
    assert await box.post("updates", member) == {"update_id": None}


async def test_a_raw_update_and_a_second_delivery(box: Sandbox) -> None:
    assert await box.post("updates", {"poll": {"id": "1"}}) == {"update_id": FIRST}
    await box.write("hi")
    assert await box.result("getUpdates", offset=FIRST + 2) == []
    assert await box.post(f"updates/{FIRST}/redeliver") == {"update_id": FIRST}
    assert await box.result("getUpdates", offset=FIRST + 2) == [{"update_id": FIRST, "poll": {"id": "1"}}]
    assert await box.result("getUpdates", offset=FIRST + 1) == []
    await box.post(f"updates/{FIRST + 7}/redeliver", status=404)


async def test_a_poller_that_has_gone_takes_nothing(box: Sandbox) -> None:
    await box.write("hi")
    assert await box.result("getUpdates", offset=FIRST + 1) == []
    _, writer = await asyncio.open_connection("127.0.0.1", int(box.url.rpartition(":")[2]))
    writer.write(f"GET /bot{TOKEN}/getUpdates?timeout=20 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    await box.post(f"updates/{FIRST}/redeliver")
    assert ids(await box.result("getUpdates", offset=FIRST + 1)) == [FIRST]


async def test_a_short_poll_leaves_a_waiting_one_alone(box: Sandbox) -> None:
    async with asyncio.TaskGroup() as tasks:
        long = tasks.create_task(box.result("getUpdates", timeout=20))
        await asyncio.sleep(0.05)
        assert await box.result("getUpdates") == []
        assert not long.done()
        await box.write("hi")
    assert ids(long.result()) == [FIRST]


async def test_beyond_a_limit_the_oldest_update_is_forgotten(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sandbox.updates.WAITING_LIMIT", 3)
    for number in range(5):
        await box.write(f"m{number}")
    await box.post(f"updates/{FIRST}/redeliver")
    assert (await box.result("getWebhookInfo"))["pending_update_count"] == 3
    assert ids(await box.result("getUpdates")) == [FIRST, FIRST + 3, FIRST + 4]


async def test_the_state_tells_whether_a_bot_polls(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [bot["polling"] for bot in (await box.get("state"))["bots"]] == [False]
    await box.result("getUpdates")
    assert [bot["polling"] for bot in (await box.get("state"))["bots"]] == [True]
    monkeypatch.setattr("app.sandbox.updates.POLLED_S", 0.0)
    assert [bot["polling"] for bot in (await box.get("state"))["bots"]] == [False]
