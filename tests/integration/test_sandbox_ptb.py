"""Another library than ours, python-telegram-bot, lives in the sandbox as at Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, InputMediaDocument, MessageEntity
from telegram.error import BadRequest, Conflict, InvalidToken, RetryAfter

from tests.kit.sandbox_client import ALICE, TOKEN, Sandbox, running_sandbox
from tests.kit.serving import serving

BUTTONS = InlineKeyboardMarkup([[InlineKeyboardButton("Go", callback_data="go")]])


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


def client(box: Sandbox, token: str = TOKEN) -> Bot:
    return Bot(token, base_url=f"{box.url}/bot", base_file_url=f"{box.url}/file/bot")


@pytest.fixture
async def bot(box: Sandbox) -> AsyncIterator[Bot]:
    async with client(box) as bot:
        yield bot


async def test_get_me_and_a_message_with_entities(bot: Bot) -> None:
    me = await bot.get_me()
    assert (me.id, me.username, me.is_bot) == (42, "sandbox_42_bot", True)
    message = await bot.send_message(ALICE, "<b>Hi</b> there", parse_mode="HTML", reply_markup=BUTTONS)
    assert (message.text, message.entities) == ("Hi there", (MessageEntity("bold", 0, 2),))
    assert (message.chat.id, message.chat.type, message.from_user) == (ALICE, "private", me)
    assert message.reply_markup == BUTTONS


async def test_a_press_and_its_edit(box: Sandbox, bot: Bot) -> None:
    message = await bot.send_message(ALICE, "Ready?", reply_markup=BUTTONS)
    await box.post(f"users/{ALICE}/presses", {"message_id": message.message_id, "text": "Go"})
    (update,) = await bot.get_updates(timeout=2)
    query = update.callback_query
    assert query is not None
    assert (query.data, query.from_user.id, query.message) == ("go", ALICE, message)
    assert await query.answer("Going") is True
    edited = await query.edit_message_text("Gone")
    assert not isinstance(edited, bool)
    assert (edited.message_id, edited.text, edited.reply_markup) == (message.message_id, "Gone", None)
    assert edited.edit_date is not None
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    with pytest.raises(
        BadRequest, match="Query is too old and response timeout expired or query id is invalid"
    ):
        await query.answer()


async def test_an_upload_comes_back_as_it_was(box: Sandbox, bot: Bot) -> None:
    sound = bytes(range(256)) * 1000
    message = await bot.send_audio(
        ALICE, sound, filename="song.mp3", title="Song", performer="Singer", duration=5
    )
    audio = message.audio
    assert audio is not None
    assert (audio.title, audio.performer, audio.file_name, audio.mime_type, audio.file_size) == (
        "Song",
        "Singer",
        "song.mp3",
        "audio/mpeg",
        256_000,
    )
    assert bytes(await (await audio.get_file()).download_as_bytearray()) == sound
    again = await bot.send_audio(ALICE, audio.file_id)
    assert again.audio == audio
    album = await bot.send_media_group(
        ALICE,
        [InputMediaDocument(b"1", filename="a.txt"), InputMediaDocument(b"2", filename="b.txt", caption="b")],
    )
    assert [part.document.file_name for part in album if part.document] == ["a.txt", "b.txt"]
    await box.upload(f"sandbox/users/{ALICE}/files", kind="voice", file=("v.oga", b"voice"))
    (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.voice is not None
    assert bytes(await (await update.message.voice.get_file()).download_as_bytearray()) == b"voice"


async def test_updates_come_in_order_and_are_confirmed_by_offset(box: Sandbox, bot: Bot) -> None:
    for text in ("/start deep", "two", "three"):
        await box.write(text)
    updates = await bot.get_updates()
    assert [update.message.text for update in updates if update.message] == ["/start deep", "two", "three"]
    assert updates[0].message is not None
    assert updates[0].message.parse_entities(["bot_command"]) == {
        MessageEntity("bot_command", 0, 6): "/start"
    }
    rest = await bot.get_updates(offset=updates[1].update_id + 1)
    assert rest == (updates[2],)


async def test_a_webhook_with_secret_is_tried_again_after_a_500(box: Sandbox, bot: Bot) -> None:
    got: list[tuple[str | None, Any]] = []
    arrived = asyncio.Event()

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), await request.json()))
        if len(got) < 2:
            return web.Response(status=500)
        arrived.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hook)
    async with serving(app) as server:
        url = f"{server}/"
        assert await bot.set_webhook(url, secret_token="s3cret") is True
        with pytest.raises(Conflict):
            await bot.get_updates()
        await box.write("hi")
        await asyncio.wait_for(arrived.wait(), 5)
        info = await bot.get_webhook_info()
        assert (info.url, info.last_error_message) == (
            url,
            "Wrong response from the webhook: 500 Internal Server Error",
        )
        assert [secret for secret, _ in got] == ["s3cret", "s3cret"]
        assert got[0] == got[1]
        assert await bot.delete_webhook() is True


async def test_errors_as_the_original_gives_them(
    box: Sandbox, bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    message = await bot.send_message(ALICE, "same")
    with pytest.raises(BadRequest, match=r"^Message is not modified: specified new message content"):
        await message.edit_text("same")
    with pytest.raises(BadRequest, match=r"^Chat not found$"):
        await bot.send_message(7, "x")
    with pytest.raises(BadRequest, match=r"^Message is too long$"):
        await bot.send_message(ALICE, "x" * 4097)
    with pytest.raises(BadRequest, match=r"^Can't parse entities: unsupported start tag"):
        await bot.send_message(ALICE, "<x>", parse_mode="HTML")
    await box.post("faults", {"method": "sendMessage", "kind": "error", "error_code": 429, "retry_after": 7})
    with pytest.raises(RetryAfter) as flood:
        await bot.send_message(ALICE, "x")
    assert flood.value.retry_after == timedelta(seconds=7)
    stranger = client(box, "42:another")
    try:
        with pytest.raises(InvalidToken):
            await stranger.initialize()
    finally:
        await stranger.shutdown()
