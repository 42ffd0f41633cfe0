"""The chains of events: what happened to a press, whole and in order, on stdout and over OTLP alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import format_trace_id

from app.telemetry.identity import hashed
from tests.kit.bot import ALICE, World, world
from tests.kit.telemetry import TOKEN, Captured

Chain = list[dict[str, Any]]
OUTDATED = "This button is out of date. Use /start."


async def _menu(here: World) -> int:
    await here.alice.say("/start")
    menu = await here.alice.until(lambda m: m["keyboard"])
    await here.updates_done()
    return int(menu["message_id"])


def _chain(telemetry: Captured, cid: str) -> Chain:
    """The events of one trace; the same must have been said on stdout."""
    volatile = ("logger", "latency_ms")
    told = [{k: v for k, v in event.items() if k not in volatile} for event in telemetry.events(cid)]
    ids = ("ts", "level", "logger", "message", "cid", "trace_id", "span_id", "latency_ms")
    lines = [line for line in telemetry.lines() if line.get("cid") == cid]
    said = [
        {"name": line["message"], **{k: v for k, v in line.items() if k not in ids}}
        for line in lines
        if line["logger"] == "app.events"
    ]
    assert said == told
    return told


def _received(pressed: dict[str, Any]) -> Chain:
    return [
        {
            "name": "UPDATE_RECEIVED",
            "update_id": pressed["update_id"],
            "update_type": "callback_query",
            "door": "polling",
            "bot_state": "ACTIVE",
        },
        {
            "name": "CALLBACK_RECEIVED",
            "update_id": pressed["update_id"],
            "callback_id": pressed["callback_query_id"],
            "user_hash": hashed(ALICE),
        },
    ]


def _done(pressed: dict[str, Any], outcome: str = "handled") -> Chain:
    return [
        {
            "name": "DISPATCH_OK",
            "update_id": pressed["update_id"],
            "update_type": "callback_query",
            "outcome": outcome,
        }
    ]


async def test_an_accepted_press(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        menu = await _menu(here)
        pressed = await here.alice.press(menu, "mm.help")
        await here.updates_done()
    names = {"screen_id": "MAIN_MENU", "button_id": "OPEN_HELP"}
    assert _chain(telemetry, telemetry.cid_of("receive callback_query")) == [
        *_received(pressed),
        {"name": "CALLBACK_ROUTED", "handler": "app.bot.handlers.start.open_page", **names},
        {
            "name": "ANSWER_CALLBACK_QUERY",
            "callback_id": pressed["callback_query_id"],
            "show_alert": False,
        },
        {"name": "UI_RENDER", "screen_id": "HELP", "buttons_count": 1},
        {"name": "CALLBACK_ACCEPTED", **names},
        *_done(pressed),
    ]
    assert telemetry.metrics()["bot.callbacks", (("button", "OPEN_HELP"), ("reason", "SUCCESS"))] == 1
    # The press links to the update that rendered the screen.
    (process,) = [span for span in telemetry.spans() if span.name == "process callback_query"]
    assert [format_trace_id(link.context.trace_id) for link in process.links] == [
        telemetry.cid_of("receive message")
    ]


REJECTED = [
    ("hp.menu", "STATE_MISMATCH", "expected HELP, got MAIN_MENU without this button"),
    ("mm.menu", "STATE_MISMATCH", "OPEN_MENU cannot stand on MAIN_MENU"),
    ("mm.fly", "UNKNOWN_ACTION", "MAIN_MENU has a button that does not exist"),
    ("buy:42", "UNKNOWN_CALLBACK", "the data is not of this bot"),
]


@pytest.mark.parametrize(("data", "reason", "text"), REJECTED, ids=[case[0] for case in REJECTED])
async def test_a_rejected_press(
    telemetry: Captured, tmp_path: Path, data: str, reason: str, text: str
) -> None:
    async with world(telemetry, tmp_path) as here:
        menu = await _menu(here)
        pressed = await here.alice.press(menu, data, force=True)
        await here.updates_done()
        (call,) = await here.calls("answerCallbackQuery")
        assert (call["params"]["text"], call["params"]["show_alert"]) == (OUTDATED, "true")
    cid = telemetry.cid_of("receive callback_query")
    assert _chain(telemetry, cid) == [
        *_received(pressed),
        {"name": "CALLBACK_REJECTED", "reason_code": reason, "reason_text": text},
        {"name": "ANSWER_CALLBACK_QUERY", "callback_id": pressed["callback_query_id"], "show_alert": True},
        *_done(pressed, "rejected"),
    ]
    (process,) = [span for span in telemetry.trace(cid) if span.name == "process callback_query"]
    assert (process.attributes or {})["reason_code"] == reason
    assert telemetry.metrics()["bot.callbacks", (("button", "none"), ("reason", reason))] == 1


async def test_an_admins_button_pressed_by_another(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, admin_ids="") as here:
        await _menu(here)
        # A message with the admin's keyboard, as an admin who lost his rights still has it.
        keyboard = '{"inline_keyboard":[[{"text":"Refresh","callback_data":"db.list"}]]}'
        api = f"/bot{TOKEN}/sendMessage"
        async with here.sandbox.post(
            api, json={"chat_id": ALICE, "text": "old", "reply_markup": keyboard}
        ) as response:
            message = (await response.json())["result"]
        pressed = await here.alice.press(message["message_id"], "db.list")
        await here.updates_done()
    assert _chain(telemetry, telemetry.cid_of("receive callback_query")) == [
        *_received(pressed),
        {
            "name": "CALLBACK_REJECTED",
            "reason_code": "UNKNOWN_CALLBACK",
            "reason_text": "no handler takes this button from this user",
            "screen_id": "DEBUG",
            "button_id": "SHOW_TRACES",
        },
        {"name": "ANSWER_CALLBACK_QUERY", "callback_id": pressed["callback_query_id"], "show_alert": True},
        *_done(pressed, "rejected"),
        {
            "name": "UPDATE_UNROUTED",
            "update_id": pressed["update_id"],
            "update_type": "callback_query",
            "reason_code": "UNKNOWN_CALLBACK",
            "reason_text": "the filters of every handler said no",
            "tried": "start: app.bot.handlers.start.open_page: filter Pressed; "
            "admin: app.bot.handlers.admin.debug_pressed: filter IsAdmin",
        },
    ]


async def test_a_message_that_nobody_wants_says_who_was_asked(telemetry: Captured, tmp_path: Path) -> None:
    group = {"id": -100500, "type": "supergroup", "title": "secret friends"}
    author = {"id": ALICE, "is_bot": False, "first_name": "Alice"}
    message = {"message_id": 7, "date": 1_790_000_000, "chat": group, "from": author, "text": "my secret"}
    async with world(telemetry, tmp_path) as here:
        async with here.sandbox.post("/sandbox/updates", json={"message": message}) as response:
            update_id = (await response.json())["update_id"]
        await here.updates_done()
    cid = telemetry.cid_of("receive message")
    update = {"update_id": update_id, "update_type": "message"}
    assert _chain(telemetry, cid) == [
        {"name": "UPDATE_RECEIVED", **update, "door": "polling", "bot_state": "ACTIVE"},
        {"name": "DISPATCH_OK", **update, "outcome": "unhandled"},
        {
            "name": "UPDATE_UNROUTED",
            **update,
            "reason_code": "NOOP",
            "reason_text": "the filters of every handler said no",
            "tried": "start: app.bot.handlers.start.start: filter Command; "
            "start: app.bot.handlers.start.show_help: filter Command; "
            "admin: app.bot.handlers.admin.debug: filter Command; "
            "link: app.bot.handlers.link.link_received: filter HasLink; "
            "fallback: app.bot.handlers.fallback.not_understood: filter InPrivate",
        },
    ]
    (process,) = [span for span in telemetry.trace(cid) if span.name == "process message"]
    assert (process.attributes or {})["telegram.routing.reason"] == "filters"
    assert "secret" not in telemetry.everything()


async def test_a_command(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        sent = await here.alice.say("/start")
        await here.updates_done()
    update = {"update_id": sent["update_id"]}
    assert _chain(telemetry, telemetry.cid_of("receive message")) == [
        {
            "name": "UPDATE_RECEIVED",
            **update,
            "update_type": "message",
            "door": "polling",
            "bot_state": "ACTIVE",
        },
        {"name": "COMMAND_RECEIVED", **update, "command": "start", "chat_hash": hashed(ALICE)},
        {"name": "COMMAND_START", **update},
        {"name": "UI_RENDER", "screen_id": "MAIN_MENU", "buttons_count": 1},
        {"name": "DISPATCH_OK", **update, "update_type": "message", "outcome": "handled"},
    ]
    assert telemetry.metrics()["bot.command.usage", (("command", "start"),)] == 1


async def test_a_command_that_is_not_the_bots_is_counted_without_its_name(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.alice.say("/my_secret_plan now")
        await here.updates_done()
    assert telemetry.metrics()["bot.command.usage", (("command", "other"),)] == 1
    assert "secret_plan" not in telemetry.everything()
