"""The 60-second story: a button does not work, an admin asks /debug, and reads why and what to tell the user."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.kit.bot import World, world
from tests.kit.person import Message
from tests.kit.telemetry import TOKEN, Captured


async def _broken_button(here: World) -> Message:
    """Alice presses a button that her phone still shows, on a message that has moved on."""
    await here.alice.say("/start")
    menu = await here.alice.until(lambda m: m["keyboard"])
    await here.alice.press(menu["message_id"], "mm.help")
    await here.alice.until(lambda m: m["edit_date"])
    pressed = await here.alice.press(menu["message_id"], "mm.help", force=True)
    await here.updates_done()
    return {**pressed, "message_id": menu["message_id"]}


async def _debug(here: World, query: str = "") -> Message:
    sent = await here.admin.say(f"/debug {query}".strip())
    return await here.admin.until(lambda m: m["message_id"] > sent["message_id"])


def _expect_the_reason(text: str) -> None:
    assert "💡 STATE_MISMATCH: the message had moved on to another screen: ask to use /start." in text
    lines = text.splitlines()
    names = [line.split(" ms ")[1].split(" ")[0] for line in lines if line.startswith("+")]
    assert names == [
        "UPDATE_RECEIVED",
        "CALLBACK_RECEIVED",
        "CALLBACK_REJECTED",
        "ANSWER_CALLBACK_QUERY",
        "DISPATCH_OK",
    ]
    assert any("expected MAIN_MENU, got HELP without this button" in line for line in lines)


async def test_from_the_broken_button_to_its_reason(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        pressed = await _broken_button(here)
        overview = await _debug(here)
        assert overview["text"].startswith(
            "🔎 Last traces · ACTIVE\n1. ❌ callback_query · handled, STATE_MISMATCH · "
        )
        assert "CALLBACK_REJECTED STATE_MISMATCH" in overview["text"]
        assert overview["text"].count("callback_query · ") == 2

        # By button, by update_id, by the beginning of the trace ID: all lead to the same reason.
        await here.admin.press(overview["message_id"], "db.last")
        last = await here.admin.until(lambda m: m["edit_date"])
        _expect_the_reason(last["text"])
        cid = last["text"].splitlines()[1]
        for query in (str(pressed["update_id"]), cid, cid[:8].upper()):
            _expect_the_reason((await _debug(here, query))["text"])


async def test_errors_and_slow_are_lists_of_their_own(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await _broken_button(here)
        overview = await _debug(here)
        await here.admin.press(overview["message_id"], "db.errors")
        errors = await here.admin.until(lambda m: m["edit_date"])
        headlines = [line for line in errors["text"].splitlines() if line[:2] in ("1.", "2.")]
        assert [line.split(" · ")[:2] for line in headlines] == [
            ["1. ❌ callback_query", "handled, STATE_MISMATCH"]
        ]
        await here.admin.press(overview["message_id"], "db.slow")
        slow = await here.admin.until(lambda m: "Slowest" in (m["text"] or ""))
        milliseconds = [
            float(line.split(" · ")[2].removesuffix(" ms"))
            for line in slow["text"].splitlines()
            if line[:2] in ("1.", "2.", "3.")
        ]
        assert len(milliseconds) == 3
        assert milliseconds == sorted(milliseconds, reverse=True)


async def test_a_reply_to_a_message_of_the_bot_tells_what_made_it(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.admin.say("/start")
        menu = await here.admin.until(lambda m: m["keyboard"])
        await here.updates_done()
        await here.sandbox.post(
            f"/sandbox/users/{here.admin.uid}/messages",
            json={"text": "/debug", "reply_to_message_id": menu["message_id"]},
        )
        answer = await here.admin.until(lambda m: "handle start" in (m["text"] or ""))
        assert "COMMAND_START" in answer["text"]


async def test_debug_logs_for_a_while(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.bot.desk._DEBUG_S", 0.5)
    log = logging.getLogger("app")
    telemetry.telemetry.verbosity._level = "INFO"
    log.setLevel("INFO")
    try:
        async with world(telemetry, tmp_path) as here:
            overview = await _debug(here)
            await here.admin.press(overview["message_id"], "db.logs")
            await here.updates_done()
            (call,) = await here.calls("answerCallbackQuery")
            assert call["params"]["text"] == "DEBUG logs are on for 30 minutes."
            assert log.level == logging.DEBUG
            await asyncio.sleep(0.6)
            assert log.level == logging.INFO
    finally:
        log.setLevel("DEBUG")


async def test_nobody_else_can_press_it_either(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        keyboard = '{"inline_keyboard":[[{"text":"1","callback_data":"db.logs"}]]}'
        body = {"chat_id": here.alice.uid, "text": "old", "reply_markup": keyboard}
        async with here.sandbox.post(f"/bot{TOKEN}/sendMessage", json=body) as response:
            message = (await response.json())["result"]
        await here.alice.press(message["message_id"], "db.logs")
        await here.updates_done()
        (call,) = await here.calls("answerCallbackQuery")
        assert call["params"]["text"] == "This button is out of date. Use /start."


async def test_after_a_restart_the_trace_is_still_told(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        pressed = await _broken_button(here)
        before = await _debug(here, str(pressed["update_id"]))
    telemetry.reset()  # what this process remembers is gone
    async with world(telemetry, tmp_path) as here:
        assert (await _debug(here))["text"].splitlines()[1] == "No traces yet. Send me something first."
        after = await _debug(here, str(pressed["update_id"]))
        assert after["text"] == before["text"]
        _expect_the_reason(after["text"])


async def test_links_to_grafana(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, grafana_url="https://grafana.example/") as here:
        await here.alice.say("/start")
        await here.updates_done()
        cid = telemetry.cid_of("receive message")
        answer = await _debug(here, cid)
    links = [entity["url"] for entity in answer["entities"] if entity["type"] == "text_link"]
    panes = [json.loads(dict(parse_qsl(urlsplit(link).query))["panes"])["t"] for link in links]
    assert all(
        link.startswith("https://grafana.example/explore?schemaVersion=1&orgId=1&panes=") for link in links
    )
    assert [
        (pane["datasource"], pane["queries"][0].get("query", pane["queries"][0].get("expr")))
        for pane in panes
    ] == [
        ("tempo", cid),
        ("loki", f'{{service_name="tracegram"}} | trace_id="{cid}"'),
    ]
