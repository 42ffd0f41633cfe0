"""The chat page in a real Chromium, against the real sandbox and a bot that does what the test tells it."""

from __future__ import annotations

import asyncio
import io
import math
import re
import struct
import wave
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect
from yarl import URL

from app.sandbox.server import serve
from app.sandbox.state import Sample
from tests.kit.browser import chromium, find_chromium, open_page
from tests.kit.scripted_bot import ScriptedBot, Step, bot_api_step

# One browser for the whole file, so one event loop too.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ALICE, BORIS, ADA = 1001, 1002, 1000
UPDATE_TRACE = "aa11" * 8
JOB_TRACE = "bb22" * 8
SAMPLE = Sample("A walk in the rain", "https://media.example/rain")


@dataclass(slots=True)
class Stage:
    """What a test plays on: the page, the bot, and the sandbox between them."""

    page: Page
    bot: ScriptedBot
    control: aiohttp.ClientSession
    url: str
    troubles: list[str]

    def find(self, test_id: str, text: str | None = None) -> Locator:
        """Elements by the name that they have for tests."""
        found = self.page.get_by_test_id(test_id)
        return found if text is None else found.filter(has_text=text)

    async def say(self, text: str) -> dict[str, Any]:
        """Type a text as the person would; gives the update that the bot receives."""
        await self.find("composer").fill(text)
        await self.find("composer").press("Enter")
        return await self.bot.next_update()

    async def choose_user(self, uid: int) -> None:
        """Go to another user's chat."""
        await self.page.locator(f"[data-user-id='{uid}']").click()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


def sandbox(port: int = 0) -> AbstractAsyncContextManager[str]:
    return serve("127.0.0.1", port, token="42:scripted", samples=[SAMPLE])


@pytest_asyncio.fixture(loop_scope="module")
async def stage(browser: Browser) -> AsyncIterator[Stage]:
    async with (
        sandbox() as url,
        aiohttp.ClientSession(url) as session,
        open_page(browser, url) as (page, troubles),
    ):
        stage = Stage(page, ScriptedBot(session), session, url, troubles)
        await stage.choose_user(ALICE)
        await expect(stage.find("empty")).to_be_visible()
        yield stage
        assert troubles == []


def tone(seconds: float) -> bytes:
    """A sine of 440 Hz as WAV."""
    rate = 8000
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        waves = (int(9000 * math.sin(at * 2 * math.pi * 440 / rate)) for at in range(int(rate * seconds)))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in waves))
    return target.getvalue()


def keyboard(*texts: str) -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": text, "callback_data": text.lower()} for text in texts]]}


# --------------------------------------------------------------------------- the chat


async def test_a_typed_message_appears_and_reaches_the_bot(stage: Stage) -> None:
    update = await stage.say("Hello, bot")
    assert update["message"]["text"] == "Hello, bot"
    assert update["message"]["from"]["id"] == ALICE
    await expect(stage.find("message-text")).to_have_text(["Hello, bot"])
    await expect(stage.find("composer")).to_have_value("")
    await expect(stage.find("send")).to_be_disabled()
    await stage.find("composer").fill("And again")
    await stage.find("send").click()
    await expect(stage.find("message-text")).to_have_text(["Hello, bot", "And again"])


async def test_a_press_spins_until_the_bot_answers_it_with_a_toast(stage: Stage) -> None:
    await stage.bot.call("sendMessage", chat_id=ALICE, text="Choose", reply_markup=keyboard("Audio", "Video"))
    button = stage.find("keyboard-button", "Video")
    await button.click()
    await expect(button).to_have_attribute("aria-busy", "true")
    press = (await stage.bot.next_update())["callback_query"]
    assert press["data"] == "video"
    await stage.bot.call("answerCallbackQuery", callback_query_id=press["id"], text="Video it is")
    await expect(stage.find("toast", "Video it is")).to_be_visible()
    await expect(button).to_have_attribute("aria-busy", "false")


async def test_an_answer_with_show_alert_waits_for_the_person(stage: Stage) -> None:
    await stage.bot.call("sendMessage", chat_id=ALICE, text="Choose", reply_markup=keyboard("Balance"))
    await stage.find("keyboard-button").click()
    press = (await stage.bot.next_update())["callback_query"]
    await stage.bot.call(
        "answerCallbackQuery", callback_query_id=press["id"], text="40 credits", show_alert=True
    )
    await expect(stage.find("alert")).to_contain_text("40 credits")
    await stage.page.keyboard.press("Escape")
    await expect(stage.find("alert")).to_be_hidden()


async def test_an_edit_changes_the_message_in_place(stage: Stage) -> None:
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="10 %", reply_markup=keyboard("Cancel"))
    bubble = stage.find("message")
    await bubble.evaluate("node => { node.sameElement = true; }")
    await expect(stage.find("edited")).to_have_count(0)
    for text in ("50 %", "100 %"):
        await stage.bot.call("editMessageText", chat_id=ALICE, message_id=sent["message_id"], text=text)
        await expect(stage.find("message-text")).to_have_text([text])
    await expect(stage.find("edited")).to_be_visible()
    await expect(stage.find("keyboard-button")).to_have_count(0)
    assert await bubble.evaluate("node => node.sameElement")


async def test_a_sent_audio_plays_and_an_edit_does_not_stop_it(stage: Stage) -> None:
    sent = await stage.bot.upload(
        "sendAudio", "audio", tone(8), "tone.wav", chat_id=ALICE, title="Tone", performer="Sine", duration=8
    )
    audio = stage.find("audio")
    await stage.find("audio-toggle").click()
    await stage.page.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")
    assert await audio.evaluate("node => node.duration") == pytest.approx(8, abs=0.2)
    caption = {"chat_id": ALICE, "message_id": sent["message_id"], "caption": "Listen"}
    await stage.bot.call("editMessageCaption", **caption)
    await expect(stage.find("message-text")).to_have_text(["Listen"])
    assert await audio.evaluate("node => !node.paused && node.readyState >= 2")


async def test_entities_are_rendered_and_a_spoiler_opens(stage: Stage) -> None:
    text = "<b>bold</b> 👍 <i>italic</i> <code>code</code> <tg-spoiler>secret</tg-spoiler> <a href='https://example.org/'>link</a>"
    await stage.bot.call("sendMessage", chat_id=ALICE, text=text, parse_mode="HTML")
    shown = stage.find("message-text")
    await expect(shown.locator("strong")).to_have_text("bold")
    await expect(shown.locator("em")).to_have_text("italic")
    await expect(shown.locator("code")).to_have_text("code")
    await expect(shown.locator("a")).to_have_attribute("href", "https://example.org/")
    await expect(shown.get_by_text("secret")).to_have_css("opacity", "0")
    await shown.get_by_role("button", name="Hidden text").click()
    await expect(shown.get_by_text("secret")).to_have_css("opacity", "1")


async def test_what_looks_like_html_stays_text(stage: Stage) -> None:
    attack = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
    await stage.say(attack)
    await stage.bot.call("sendMessage", chat_id=ALICE, text=attack, reply_markup=keyboard(attack[:40]))
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="traced")
    steps = {0: Step(attack, "consumer", error=attack), 1: bot_api_step("sendMessage", sent["message_id"], 0)}
    await stage.bot.export(UPDATE_TRACE, steps)
    await stage.bot.export_log(UPDATE_TRACE, 0, attack)
    await stage.find("trace-row").first.click()
    await expect(stage.find("message-text")).to_have_text([attack, attack, "traced"])
    await expect(stage.find("span-details")).to_contain_text(attack)
    assert await stage.page.locator("main img, aside img, body script").count() == 0
    assert await stage.page.evaluate("window.hacked") is None


async def test_a_file_is_attached_and_offered_for_download(stage: Stage) -> None:
    await stage.find("file").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"seven"}
    )
    update = await stage.bot.next_update()
    assert update["message"]["document"]["file_name"] == "notes.txt"
    await expect(stage.find("document")).to_contain_text("notes.txt")
    async with stage.page.expect_download() as download:
        await stage.find("document").click()
    assert (await (await download.value).path()).read_bytes() == b"seven"


async def test_the_bot_is_seen_to_be_busy(stage: Stage) -> None:
    await stage.bot.call("sendChatAction", chat_id=ALICE, action="upload_voice")
    await expect(stage.find("chat-action")).to_contain_text("is sending audio")
    await stage.bot.call("sendMessage", chat_id=ALICE, text="There")
    await expect(stage.find("chat-action")).to_be_hidden()


async def test_one_click_sends_a_sample_link(stage: Stage) -> None:
    await stage.find("sample-link", SAMPLE.title).click()
    update = await stage.bot.next_update()
    assert update["message"]["text"] == SAMPLE.url


async def test_a_slash_offers_the_commands_that_the_bot_registered(stage: Stage) -> None:
    commands = [{"command": "history", "description": "What you got so far"}]
    await stage.bot.call("setMyCommands", commands=commands)
    await stage.find("composer").press_sequentially("/")
    await expect(stage.page.get_by_role("option")).to_have_text(["/historyWhat you got so far"])
    await stage.page.keyboard.press("ArrowDown")
    await stage.page.keyboard.press("Enter")
    assert (await stage.bot.next_update())["message"]["text"] == "/history"


async def test_a_reply_quotes_the_message(stage: Stage) -> None:
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="Which format?")
    await stage.find("message").hover()
    await stage.page.get_by_role("button", name="Reply", exact=True).click()
    update = await stage.say("mp3")
    assert update["message"]["reply_to_message"]["message_id"] == sent["message_id"]
    await expect(stage.find("message").last.locator(".quote")).to_contain_text("Which format?")


async def test_chips_offer_what_the_bot_registered_and_debug_to_an_admin(stage: Stage) -> None:
    await expect(stage.find("command-chip")).to_have_text(["/start"])
    await stage.bot.call("setMyCommands", commands=[{"command": "history", "description": "So far"}])
    await stage.bot.call("sendMessage", chat_id=ALICE, text="Ready")
    await expect(stage.find("command-chip")).to_have_text(["/start", "/history"])
    await stage.choose_user(ADA)
    await expect(stage.find("command-chip")).to_have_text(["/start", "/history", "/debug"])


async def test_the_time_has_five_characters_in_every_locale(browser: Browser) -> None:
    async with sandbox() as url, aiohttp.ClientSession(url) as session:
        async with open_page(browser, url, locale="en-US") as (page, _):
            await page.locator(f"[data-user-id='{ALICE}']").click()
            sent = await ScriptedBot(session).call("sendMessage", chat_id=ALICE, text="On")
            edit = {"chat_id": ALICE, "message_id": sent["message_id"], "text": "On time"}
            await ScriptedBot(session).call("editMessageText", **edit)
            await expect(page.get_by_test_id("edited")).to_be_visible()
            await expect(page.locator(".meta time")).to_have_text(re.compile(r"^([01]\d|2[0-3]):\d\d$"))


# --------------------------------------------------------------------------- the bot


async def test_the_bot_is_seen_to_poll_only_while_it_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, dot = stage.page.locator("#bot-state"), stage.page.locator("#bot-dot")
    await expect(how).to_have_text("@sandbox_42_bot · not polling")
    await expect(dot).to_have_class("dot is-away")
    await stage.bot.call("getUpdates")
    await expect(how).to_have_text("@sandbox_42_bot · polling")
    await expect(dot).to_have_class("dot is-on")
    monkeypatch.setattr("app.sandbox.updates.POLLED_S", 0.0)
    await expect(dot).to_have_class("dot is-away")


async def test_bots_are_told_apart_and_their_dot_keeps_its_shape(stage: Stage) -> None:
    await ScriptedBot(stage.control, "43:other").call("getMe")
    await expect(stage.page.locator("#bot-pick option")).to_have_text(["@sandbox_42_bot", "@sandbox_43_bot"])
    await stage.page.set_viewport_size({"width": 360, "height": 700})
    box = await stage.page.locator("#bot-dot").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (8, 8)


# --------------------------------------------------------------------------- the users


async def test_each_user_has_a_chat_of_their_own(stage: Stage) -> None:
    await stage.say("I am Alice")
    await stage.bot.call("sendMessage", chat_id=BORIS, text="Привет, Борис")
    boris = stage.page.locator(f"[data-user-id='{BORIS}']")
    await expect(boris.get_by_label("1 unread")).to_be_visible()
    await expect(stage.find("message-text")).to_have_text(["I am Alice"])
    await boris.click()
    await expect(stage.find("message-text")).to_have_text(["Привет, Борис"])
    await expect(boris.get_by_label("1 unread")).to_have_count(0)
    update = await stage.say("Привет")
    assert update["message"]["from"]["id"] == BORIS


async def test_a_new_user_writes_in_their_language(stage: Stage) -> None:
    await stage.find("new-user").click()
    await stage.find("new-user-name").fill("Zoë")
    await stage.page.get_by_label("Language of the app").select_option("fr")
    await stage.find("new-user-create").click()
    await expect(stage.find("user-item", "Zoë")).to_have_attribute("aria-current", "true")
    sender = (await stage.say("/start"))["message"]["from"]
    assert (sender["first_name"], sender["language_code"]) == ("Zoë", "fr")


# --------------------------------------------------------------------------- the trace


async def traced_answer(stage: Stage) -> int:
    """Let the bot answer and export the trace of the answer and of a job that links to it."""
    update = await stage.say("https://media.example/rain")
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="On it")
    update_attributes: dict[str, str | int] = {
        "messaging.system": "telegram",
        "messaging.message.id": str(update["update_id"]),
    }
    await stage.bot.export(
        UPDATE_TRACE,
        {
            0: Step("process message", "consumer", None, 0, 180, update_attributes),
            2: Step("SELECT users", "client", 0, 5, 4, {"db.system.name": "sqlite"}),
            1: Step("handle link", "internal", 0, 12, 150),
            3: bot_api_step("sendMessage", sent["message_id"], 1, start_ms=40, duration_ms=90),
        },
    )
    await stage.bot.export(JOB_TRACE, {0: Step("run job", "consumer", None, 200, 900, link=UPDATE_TRACE)})
    await stage.bot.export_log(UPDATE_TRACE, 1, "link accepted", "WARN")
    return int(sent["message_id"])


async def test_the_newest_message_shows_its_trace_as_a_waterfall(stage: Stage) -> None:
    await traced_answer(stage)
    await expect(stage.find("trace-row-name")).to_have_text(
        ["process message", "SELECT users", "handle link", "sendMessage"]
    )
    await expect(stage.find("trace-id")).to_have_text(UPDATE_TRACE)
    lefts = await stage.page.locator("[data-testid=trace-row] .bar").evaluate_all(
        "bars => bars.map((bar) => bar.getBoundingClientRect().left)"
    )
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == 4
    await expect(stage.find("trace-chip").last).to_contain_text("180 ms · 4 spans")


async def test_a_row_opens_attributes_and_log_lines_and_a_link_leads_to_the_other_trace(stage: Stage) -> None:
    await traced_answer(stage)
    row = stage.page.get_by_role("button", name="handle link, 150 ms")
    await row.click()
    await expect(stage.find("span-details").get_by_test_id("log-line")).to_contain_text("link accepted")
    await stage.page.get_by_role("button", name="sendMessage, 90 ms").click()
    await expect(stage.find("span-details").last).to_contain_text("telegram_bot_api")
    await stage.find("trace-tab", "run job").click()
    await expect(stage.find("trace-id")).to_have_text(JOB_TRACE)
    await expect(stage.find("trace-row-name")).to_have_text(["run job"])
    await stage.find("trace-row").click()
    await stage.find("span-details").get_by_test_id("trace-link").click()
    await expect(stage.find("trace-id")).to_have_text(UPDATE_TRACE)


async def test_a_trace_grows_while_its_spans_arrive(stage: Stage) -> None:
    message_id = await traced_answer(stage)
    await stage.page.get_by_role("button", name="handle link, 150 ms").click()
    edit = bot_api_step("editMessageText", message_id, 0, start_ms=1000, duration_ms=50, error="Bad Request")
    await stage.bot.export(UPDATE_TRACE, {4: edit})
    await expect(stage.find("trace-row-name").last).to_have_text("editMessageText")
    await expect(stage.find("span-details")).to_have_count(1)
    await expect(stage.find("trace-status")).to_have_text("1 span failed")


async def test_a_failed_job_is_red_though_its_root_went_well(stage: Stage) -> None:
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="It failed")
    running = {
        2: Step("GET", "client", 1, start_ms=30),
        3: bot_api_step("sendMessage", sent["message_id"], 1, start_ms=45),
    }
    await stage.bot.export(JOB_TRACE, {0: Step("send job", "producer", link=UPDATE_TRACE), **running})
    await stage.bot.export(UPDATE_TRACE, {0: Step("process message", "consumer")})
    await expect(stage.find("trace-chip")).to_contain_text("running · 3 spans")
    await expect(stage.find("trace-status")).to_have_text("Running")
    dot = stage.find("trace-tab", "send job").locator(".status-dot")
    await expect(dot).to_have_class("status-dot is-running")
    await stage.bot.export(JOB_TRACE, {1: Step("process job", "consumer", 0, 20, 40, error="Gone")})
    await expect(stage.find("trace-chip")).to_have_class("trace-chip is-error")
    await expect(stage.find("trace-status")).to_have_text("Error")
    await expect(dot).to_have_class("status-dot is-error")


async def test_spans_that_are_each_others_parents_are_drawn(stage: Stage) -> None:
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="Round and round")
    steps = {
        0: Step("egg", "internal", 1, start_ms=5),
        1: Step("hen", "internal", 0, start_ms=0),
        2: bot_api_step("sendMessage", sent["message_id"], 0, start_ms=7),
    }
    await stage.bot.export(UPDATE_TRACE, steps)
    await expect(stage.find("trace-row-name")).to_have_text(["hen", "egg", "sendMessage"])


async def test_a_chosen_message_stays_chosen_until_the_newest_is_wanted(stage: Stage) -> None:
    await traced_answer(stage)
    await stage.find("trace-chip").last.click()
    later = await stage.bot.call("sendMessage", chat_id=ALICE, text="Something else")
    other = "cc33" * 8
    steps = {0: Step("notify", "consumer"), 1: bot_api_step("sendMessage", later["message_id"], 0)}
    await stage.bot.export(other, steps)
    await expect(stage.find("trace-chip").last).to_contain_text("2 spans")
    await expect(stage.find("trace-id")).to_have_text(UPDATE_TRACE)
    await stage.find("follow").click()
    await expect(stage.find("trace-id")).to_have_text(other)


async def pressed_and_traced(stage: Stage) -> None:
    """Press a button under a traced message; the bot answers and exports the trace of the press."""
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="Choose", reply_markup=keyboard("Audio"))
    message_id = int(sent["message_id"])
    first = {0: Step("process message", "consumer"), 1: bot_api_step("sendMessage", message_id, 0)}
    await stage.bot.export(UPDATE_TRACE, first)
    await expect(stage.find("trace-id")).to_have_text(UPDATE_TRACE)
    await stage.find("keyboard-button").click()
    update = await stage.bot.next_update()
    await stage.bot.call("answerCallbackQuery", callback_query_id=update["callback_query"]["id"])
    of_update: dict[str, str | int] = {
        "messaging.system": "telegram",
        "messaging.message.id": str(update["update_id"]),
    }
    await stage.bot.export(JOB_TRACE, {0: Step("process callback_query", "consumer", attributes=of_update)})
    await expect(stage.find("trace-id")).to_have_text(JOB_TRACE)
    await expect(stage.find("trace-row-name")).to_have_text(["process callback_query"])


async def test_a_press_shows_the_trace_of_the_press(stage: Stage) -> None:
    await pressed_and_traced(stage)


async def test_the_trace_of_a_press_may_come_before_the_answer_to_the_press(stage: Stage) -> None:
    """The bot may be done before the browser reads what the sandbox answered."""
    seen = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await seen.wait()
        await route.fulfill(response=answer)

    await stage.page.route("**/presses?*", late)
    try:
        await pressed_and_traced(stage)
    finally:
        seen.set()
    await expect(stage.find("keyboard-button")).to_have_attribute("aria-busy", "false")


async def test_the_trace_of_a_press_is_shown_when_the_list_tells_of_it_before_the_event(stage: Stage) -> None:
    """A list that is being read may hold a trace that no event has told of yet."""
    sent = await stage.bot.call("sendMessage", chat_id=ALICE, text="Choose", reply_markup=keyboard("Audio"))
    first = {0: Step("process message", "consumer"), 1: bot_api_step("sendMessage", sent["message_id"], 0)}
    await stage.bot.export(UPDATE_TRACE, first)
    await expect(stage.find("trace-id")).to_have_text(UPDATE_TRACE)
    asked, pressed = asyncio.Event(), asyncio.Event()

    async def held_until_the_press(route: Route) -> None:
        asked.set()
        await pressed.wait()
        await route.continue_()

    await stage.page.route("**/traces?*", held_until_the_press)
    # One more span of the first trace makes the page read the list, which waits at the route.
    await stage.bot.export(UPDATE_TRACE, {2: Step("database", "client", 0)})
    await asyncio.wait_for(asked.wait(), 10)
    await stage.find("keyboard-button").click()
    update = await stage.bot.next_update()
    of_update: dict[str, str | int] = {
        "messaging.system": "telegram",
        "messaging.message.id": str(update["update_id"]),
    }
    await stage.bot.export(JOB_TRACE, {0: Step("process callback_query", "consumer", attributes=of_update)})
    pressed.set()
    await expect(stage.find("trace-id")).to_have_text(JOB_TRACE)


async def test_on_a_narrow_screen_the_trace_is_a_sheet(stage: Stage) -> None:
    await stage.page.set_viewport_size({"width": 400, "height": 800})
    await expect(stage.find("trace-panel")).to_be_hidden()
    await traced_answer(stage)
    await stage.find("trace-chip").last.click()
    await expect(stage.find("trace-id")).to_be_visible()
    await stage.page.keyboard.press("Escape")
    await expect(stage.find("trace-panel")).to_be_hidden()


# --------------------------------------------------------------------------- trouble


async def test_a_fault_is_armed_with_one_click(stage: Stage) -> None:
    await stage.find("faults-open").click()
    await stage.page.get_by_role("button", name="Flood limit").click()
    await expect(stage.find("fault")).to_contain_text("sendMessage")
    refused = await stage.bot.attempt("sendMessage", chat_id=ALICE, text="too fast")
    assert (refused["error_code"], refused["parameters"]) == (429, {"retry_after": 3})
    await expect(stage.find("fault")).to_have_count(0)


async def test_the_last_update_is_delivered_a_second_time(stage: Stage) -> None:
    first = await stage.say("twice")
    await stage.find("faults-open").click()
    await stage.page.get_by_role("button", name="Deliver the last update again").click()
    # The bot has confirmed the update already, and gets it again all the same.
    again = await stage.bot.call("getUpdates", timeout=10)
    assert [update["update_id"] for update in again] == [first["update_id"]]


async def test_the_page_finds_a_restarted_sandbox_again(browser: Browser) -> None:
    async with AsyncExitStack() as until_the_end:
        async with sandbox() as url, aiohttp.ClientSession(url) as session:
            page, _ = await until_the_end.enter_async_context(open_page(browser, url))
            await page.locator(f"[data-user-id='{ALICE}']").click()
            await ScriptedBot(session).call("sendMessage", chat_id=ALICE, text="before")
            await expect(page.get_by_test_id("message-text")).to_have_text(["before"])
        offline = page.get_by_text("The sandbox does not answer")
        await expect(offline).to_be_visible()
        port = URL(url).port
        assert port is not None
        async with sandbox(port), aiohttp.ClientSession(url) as session:
            await expect(offline).to_be_hidden()
            await expect(page.get_by_test_id("message-text")).to_have_count(0)
            await ScriptedBot(session).call("sendMessage", chat_id=ALICE, text="after")
            await expect(page.get_by_test_id("message-text")).to_have_text(["after"])


async def test_without_a_browser_the_failure_says_how_to_get_one() -> None:
    with pytest.raises(AssertionError, match="make setup"):
        find_chromium(path="/nonexistent")
