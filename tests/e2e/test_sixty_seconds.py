"""The 60-second story: a button does not work, an admin asks /debug, and reads why and what to tell the user."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sqlite3
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from PIL import Image

from app.telemetry.recorder import SpanRecord
from tests.kit.bot import World, world
from tests.kit.person import Message
from tests.kit.serving import serving
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


async def _sql(folder: Path, statement: str, values: tuple[Any, ...] = ()) -> None:
    """Change the bot's database behind its back, on a thread: the bot may hold the lock, and shares this loop."""

    def change() -> None:
        with closing(sqlite3.connect(folder / "bot.db")) as database, database:
            database.execute(statement, values)

    await asyncio.to_thread(change)


async def _leave_numbers_free(here: World, folder: Path) -> None:
    """The next sandbox counts updates from the beginning again, and Telegram would not: forget a few of them."""
    for _ in range(4):
        await here.boris.say("one number more")
    await here.updates_done()
    await _sql(folder, "DELETE FROM updates")


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
            "🔎 Last traces · ACTIVE\n1. ❌ callback_query · rejected, STATE_MISMATCH · "
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


async def test_a_refresh_that_changes_nothing_is_no_failure(telemetry: Captured, tmp_path: Path) -> None:
    """An admin pressed Refresh when nothing had happened, and was told that something went wrong."""
    async with world(telemetry, tmp_path) as here:
        await _broken_button(here)
        overview = await _debug(here)
        for _ in range(2):
            await here.admin.press(overview["message_id"], "db.list")
            await here.updates_done()
        assert [call["params"].get("text") for call in await here.calls("answerCallbackQuery")][-2:] == [
            None,
            None,
        ]
        assert 400 in [call["status"] for call in await here.calls("editMessageText")]
        assert len(await here.admin.chat()) == 2


async def test_errors_and_slow_are_lists_of_their_own(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await _broken_button(here)
        overview = await _debug(here)
        await here.admin.press(overview["message_id"], "db.errors")
        errors = await here.admin.until(lambda m: m["edit_date"])
        headlines = [line for line in errors["text"].splitlines() if line[:2] in ("1.", "2.")]
        assert [line.split(" · ")[:2] for line in headlines] == [
            ["1. ❌ callback_query", "rejected, STATE_MISMATCH"]
        ]
        await here.admin.press(overview["message_id"], "db.slow")
        slow = await here.admin.until(lambda m: "Slowest" in (m["text"] or ""))
        milliseconds = [
            _milliseconds(line.split(" · ")[2])
            for line in slow["text"].splitlines()
            if line[:2] in ("1.", "2.", "3.")
        ]
        assert len(milliseconds) == 3
        assert milliseconds == sorted(milliseconds, reverse=True)


def _milliseconds(told: str) -> float:
    number, unit = told.split()
    return float(number) * {"ms": 1.0, "s": 1000.0}[unit]


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
    monkeypatch.setattr("app.bot.desk._DEBUG_S", 3.0)
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
            async with asyncio.timeout(10):
                while log.level != logging.INFO:
                    await asyncio.sleep(0.1)
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
    assert telemetry.metrics()["bot.admin.denied", (("via", "button"),)] == 1


async def test_after_a_restart_the_trace_is_still_told(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await _leave_numbers_free(here, tmp_path)
        pressed = await _broken_button(here)
        before = await _debug(here, str(pressed["update_id"]))
    telemetry.reset()  # what this process remembers is gone
    async with world(telemetry, tmp_path) as here:
        overview = (await _debug(here))["text"]
        assert overview.splitlines()[1].startswith("1. ✅ lease takeover · done · ")
        assert overview.splitlines()[3].startswith("2. ❌ callback_query · rejected, STATE_MISMATCH · ")
        after = await _debug(here, str(pressed["update_id"]))
        assert after["text"] == before["text"]
        _expect_the_reason(after["text"])


async def test_the_picture_of_a_trace(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await _broken_button(here)
        overview = await _debug(here)
        await here.admin.press(overview["message_id"], "db.last")
        last = await here.admin.until(lambda m: m["edit_date"])
        cid = last["text"].splitlines()[1]
        await here.admin.press(last["message_id"], f"dt.pic:{cid}")
        photo = await here.admin.until(lambda m: m["attachment"])
        assert photo["text"] == f"cid {cid}"
        assert photo["reply_to_message_id"] == last["message_id"]
        assert {k: photo["attachment"][k] for k in ("kind", "mime_type")} == {
            "kind": "photo",
            "mime_type": "image/png",
        }
        async with here.sandbox.get(photo["attachment"]["url"]) as response:
            image = Image.open(io.BytesIO(await response.read()))
        assert image.size == (1280, 236 + 44 + 3 * 46 + 92)  # receive, process and answerCallbackQuery
        await here.updates_done()
        assert [call["params"] for call in await here.calls("answerCallbackQuery")][-1].get("text") is None


async def test_a_failed_update_has_a_reason_and_an_advice(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.fault(method="sendMessage", kind="error", error_code=403, times=2)
        said = await here.alice.say("/start")
        await here.updates_done()
        lines = (await _debug(here, str(said["update_id"])))["text"].splitlines()
    assert lines[0].startswith("❌ message · error, DOWNSTREAM_ERROR · ")
    assert lines[2].startswith("💡 DOWNSTREAM_ERROR: Telegram or the link's site failed")
    assert re.fullmatch(
        rf"📥 update {said['update_id']} \(message\): done · error · DOWNSTREAM_ERROR · attempt 1 · \S+ ms · start",
        lines[3],
    )
    assert any("DISPATCH_FAIL DOWNSTREAM_ERROR TelegramForbiddenError" in line for line in lines)
    assert any(line.startswith("*   !sendMessage") for line in lines)


async def test_there_is_no_picture_of_what_is_no_longer_kept(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        pressed = await _broken_button(here)
        answer = await _debug(here, str(pressed["update_id"]))
        cid = answer["text"].splitlines()[1]
        await _forget_traces(telemetry, tmp_path)
        await here.admin.press(answer["message_id"], f"dt.pic:{cid}")
        said = await here.admin.until(lambda m: m["reply_to_message_id"] == answer["message_id"])
        assert said["text"] == "No span of this trace is kept any more: there is nothing to draw."


async def test_a_job_and_its_update_are_told_from_both_sides(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        said = await here.alice.say(f"{here.media}/not-there")
        await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        await here.updates_done()
        update_cid, job_cid = telemetry.cid_of("receive message"), telemetry.cid_of("send jobs.download")

        update = await _debug(here, str(said["update_id"]))
        lines = update["text"].splitlines()
        assert re.fullmatch(
            rf"📥 update {said['update_id']} \(message\): done · handled · attempt 1 · \S+ ms · link_received",
            lines[2],
        )
        assert re.fullmatch(
            rf"⚙️ job 1: failed · DOWNSTREAM_ERROR · attempt 1 · \S+ m?s · {job_cid}", lines[3]
        )
        assert lines[4].startswith("⏱ ")
        titles = [line for line in lines if line.startswith(("Events", "Spans"))]
        about = f" · jobs.download {job_cid[:8]}"
        key = "Spans (* critical path, ! failed; total, self)"
        assert titles == ["Events", key, f"Events{about}", key + about]
        assert "TASK_FAILED DOWNSTREAM_ERROR LinkUnreachable" in update["text"]

        await here.admin.press(update["message_id"], f"dt.trace:{job_cid}")
        job = await here.admin.until(lambda m: m["edit_date"])
        lines = job["text"].splitlines()
        assert lines[0].startswith("❌ jobs.download · failed, DOWNSTREAM_ERROR · ")
        assert lines[2].startswith("💡 DOWNSTREAM_ERROR: Telegram or the link's site failed")
        assert re.fullmatch(r"⚙️ job 1: failed · DOWNSTREAM_ERROR · attempt 1 · \S+ m?s", lines[3])
        assert f"Events · message {update_cid[:8]}" in lines
        assert job["keyboard"][0][0] == {
            "text": f"📥 {update_cid[:8]}",
            "callback_data": f"dt.trace:{update_cid}",
        }


async def test_an_update_is_answered_for_when_no_trace_of_it_is_kept(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path, grafana_url="https://grafana.example") as here:
        pressed = await _broken_button(here)
        cid = (await _debug(here, str(pressed["update_id"])))["text"].splitlines()[1]
        await _forget_traces(telemetry, tmp_path)
        for query in (str(pressed["update_id"]), cid, f"{cid[:4]}-{cid[4:8]}"):
            answer = await _debug(here, query)
            lines = answer["text"].splitlines()
            assert re.fullmatch(r"❌ callback_query · rejected, STATE_MISMATCH · \S+ ms", lines[0])
            assert lines[1:4] == [
                cid,
                "💡 STATE_MISMATCH: the message had moved on to another screen: ask to use /start.",
                "📭 No trace of it is kept any more; this is what its row says.",
            ]
            assert lines[4].startswith(
                f"📥 update {pressed['update_id']} (callback_query): done · rejected · STATE_MISMATCH · attempt 1 · "
            )
            assert lines[5:] == ["Tempo · Loki"]
            assert [row[0]["callback_data"] for row in answer["keyboard"]] == ["dt.list"]


async def test_a_job_is_answered_for_when_no_trace_of_it_is_kept(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        sent = await here.alice.say(f"{here.media}/not-there")
        await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        await here.updates_done()
        job_cid = telemetry.cid_of("send jobs.download")
        update_cid = telemetry.cid_of("receive message")
        await _forget_traces(telemetry, tmp_path)
        job = (await _debug(here, job_cid[:8]))["text"].splitlines()
        assert job[0].startswith("❌ jobs.download · failed, DOWNSTREAM_ERROR · ")
        assert job[2].startswith("💡 DOWNSTREAM_ERROR: ")
        assert job[4].startswith("⚙️ job 1: failed · DOWNSTREAM_ERROR · attempt 1 · ")
        update = (await _debug(here, update_cid))["text"]
        assert f"📥 update {sent['update_id']} (message): done · handled · attempt 1 · " in update
        assert "⚙️ job 1: failed · DOWNSTREAM_ERROR · attempt 1 · " in update


async def _forget_traces(telemetry: Captured, folder: Path) -> None:
    await asyncio.sleep(1.2)  # what memory holds is written by then, and only once
    telemetry.telemetry.recorder._traces.clear()
    await _sql(folder, "DELETE FROM traces")


async def test_two_thousand_spans_are_turned_over_page_by_page(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        cid = "ab" * 16
        root = {"messaging.system": "telegram", "messaging.message.id": "7"}
        spans = [SpanRecord(cid, "root", None, "receive message", "server", 0, 2000, "ok", root)]
        spans += [
            SpanRecord(cid, str(n), "root", f"{n:04} " + "n" * 5000, "client", n, n + 1, "ok", {})
            for n in range(2000)
        ]
        story = {"trace_id": cid, "spans": [asdict(s) for s in spans], "events": [], "dropped_spans": 0}
        await _sql(
            tmp_path,
            "INSERT INTO traces (trace_id, writer, started_at, update_id, story) VALUES (?, ?, ?, ?, ?)",
            (cid, "w", "2026-11-26 00:00:00.000000", 7, json.dumps(story)),
        )
        answer = await _debug(here, "7")
        seen: list[str] = []
        page, last = 1, int(answer["text"].splitlines()[1].rpartition("/")[2])
        assert last > 20
        while True:
            head = answer["text"].splitlines()[1]
            assert head == f"{cid} · {page}/{last}"
            seen += re.findall(r"^\*? *(\d{4}) n+\|", answer["text"], re.MULTILINE)
            if page == last:
                break
            forward = [b["callback_data"] for b in answer["keyboard"][0] if b["text"] == "▶️"]
            assert forward == [f"dt.page:{cid}.{page + 1}"]
            await here.admin.press(answer["message_id"], forward[0])
            page += 1
            turned = f" · {page}/{last}"
            answer = await here.admin.until(partial(_says, turned))
        assert seen == [f"{n:04}" for n in range(2000)]
        await here.admin.press(answer["message_id"], f"dt.pic:{cid}")
        photo = await here.admin.until(lambda m: m["attachment"])
        assert photo["text"] == f"cid {cid}"


def _says(text: str, message: Message) -> bool:
    return text in (message["text"] or "")


async def test_what_tempo_says_of_a_trace(telemetry: Captured, tmp_path: Path) -> None:
    kept = {"resourceSpans": [{"scopeSpans": [{"scope": {"attributes": [{"key": "tailsampling.policy", "value": {"stringValue": "<errors>"}}]}, "spans": [{}]}]}]}  # fmt: skip
    asked: list[str] = []
    answers = iter(
        [web.json_response({"trace": kept}), web.json_response({"trace": {}}), web.Response(status=503)]
    )

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.match_info["cid"])
        return next(answers)

    app = web.Application()
    app.router.add_get("/api/v2/traces/{cid}", answer)
    async with serving(app) as url, world(telemetry, tmp_path, tempo_url=url) as here:
        pressed = await _broken_button(here)
        texts = [(await _debug(here, str(pressed["update_id"])))["text"] for _ in range(3)]
        cid = texts[0].splitlines()[1]
    assert [[line for line in text.splitlines() if line.startswith("🗄")] for text in texts] == [
        ["🗄 Kept by policy <errors>."],
        ["🗄 Not in Tempo: sampled out, or not there yet."],
        ["🗄 Tempo does not answer."],
    ]
    assert asked == [cid] * 3


async def test_whoever_is_no_admin_is_told_nothing_and_counted(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        assert await here.alice.answer_to("/debug") == await here.alice.answer_to("/nonsense")
        await _debug(here)
        await here.updates_done()
    told = {series: value for series, value in telemetry.metrics().items() if "admin" in series[0]}
    assert told == {("bot.admin.denied", (("via", "command"),)): 1}


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
