"""Small talk: menu, help, buttons, chatter, unknown commands, and `/debug` for those who may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.bot import World, world
from tests.kit.telemetry import Captured


async def test_start_menu_and_help(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.alice.say("/start")
        menu = await here.alice.until(lambda m: m["keyboard"])
        assert menu["keyboard"] == [[{"text": "❓ Help", "callback_data": "mm.help"}]]
        await here.alice.press(menu["message_id"], "mm.help")
        help_page = await here.alice.until(lambda m: m["edit_date"])
        assert help_page["message_id"] == menu["message_id"]
        assert help_page["keyboard"] == [[{"text": "🏠 Menu", "callback_data": "hp.menu"}]]
        assert [call["params"].get("text") for call in await here.calls("answerCallbackQuery")] == [None]
        await here.updates_done()
    assert telemetry.tree(telemetry.cid_of("receive callback_query")) == [
        "receive callback_query",
        "  process callback_query",
        "    handle open_page",
        "      answerCallbackQuery",
        "      editMessageText",
    ]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("hello", "Send me a link to a video or a song, and I will send you its sound as an mp3."),
        ("😀" * 2048, "Send me a link to a video or a song, and I will send you its sound as an mp3."),
        ("/nonsense", "I do not know this command. /help lists what I can do."),
        ("/debug", "I do not know this command. /help lists what I can do."),
        ("/debug 0af7651916cd43dd8448eb211c80319c", "I do not know this command. /help lists what I can do."),
    ],
)
async def test_what_is_no_link_gets_one_sentence(
    telemetry: Captured, tmp_path: Path, said: str, answer: str
) -> None:
    async with world(telemetry, tmp_path) as here:
        assert await here.alice.answer_to(said) == answer
        await here.updates_done()
        assert len(await here.alice.chat()) == 2


@pytest.mark.parametrize(
    "data", ["buy:42", "x" * 64, "db.list", "dt.trace:0af7651916cd43dd8448eb211c80319c", "🤷"]
)
async def test_a_foreign_button_is_answered(telemetry: Captured, tmp_path: Path, data: str) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.alice.say("/start")
        menu = await here.alice.until(lambda m: m["keyboard"])
        await here.alice.press(menu["message_id"], data, force=True)
        await here.updates_done()
        (call,) = await here.calls("answerCallbackQuery")
        assert call["params"]["text"] == "This button is out of date. Use /start."
        assert len(await here.alice.chat()) == 2


async def _debug(here: World, query: str = "") -> str:
    return await here.admin.answer_to(f"/debug {query}".strip())


async def test_debug_lists_the_traces_and_shows_one(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        update_cid = telemetry.cid_of("receive message")
        job_cid = telemetry.cid_of("send jobs.download")

        overview = await _debug(here)
        shape = re.sub(r"\d+(\.\d)? m?s$", "TIME", overview, flags=re.MULTILINE)
        assert f"✅ jobs.download · done · TIME\n{job_cid}\n" in shape
        assert f"✅ message · handled · TIME\n{update_cid}\n" in shape

        by_cid = await _debug(here, job_cid)
        by_code = await _debug(here, f"{job_cid[:4]}-{job_cid[4:8]}".upper())
        assert by_cid == by_code
        names = [line.split("|")[0].strip(" *!") for line in by_cid.splitlines() if "|" in line]
        assert [name for name in names if name != "editMessageText"][:7] == [
            "send jobs.download",
            "process jobs.download",
            "download",
            "sendAudio",
            "connect",
            "BEGIN",
            "UPDATE",
        ]
        assert re.search(r"^⚙️ job 1: done · attempt 1 · \S+ s$", by_cid, re.MULTILINE)
        assert names[-8:-5] == ["receive message", "process message", "handle link_received"]

        shown = await here.admin.until(lambda m: m["text"] == by_cid)
        await here.admin.press(shown["message_id"], f"dt.trace:{update_cid}")
        turned = await here.admin.until(lambda m: m["edit_date"])
        assert "handle link_received" in turned["text"]

        assert (await _debug(here, "ffffffff")).startswith("Nothing is known of ffffffff.")
        assert (await _debug(here, "<b>")).startswith("Nothing is known of <b>.")
