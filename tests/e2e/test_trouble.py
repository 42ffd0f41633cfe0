"""Trouble around the bot: stops at odd moments, updates that cannot be read, throttling, a locked database, groups."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import aiohttp
import pytest
from opentelemetry.trace import StatusCode
from sqlalchemy import text

from app.config.settings import Settings
from app.db.migrate import migrate
from app.db.session import Database
from app.errors import ConfigError
from app.sandbox.server import serve
from tests.e2e.test_webhook import PATH, SECRET, UPDATE
from tests.kit.bot import world
from tests.kit.programs import run, start
from tests.kit.telemetry import TOKEN, Captured


async def test_a_stop_finishes_what_is_under_way_and_says_so(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=1.5)
        await here.alice.say("hello")
        while not await here.calls("sendMessage"):
            await asyncio.sleep(0.02)
        await here.boris.say("привет")  # waits behind the batch: it is for the next start
        here.stop.set()
        await here.alice.until(lambda m: m["text"])
        for _ in range(100):
            async with here.sandbox.get("/sandbox/state") as response:
                (bot,) = (await response.json())["bots"]
            if bot["pending_updates"] == 1:
                break
            await asyncio.sleep(0.05)
        assert bot["pending_updates"] == 1  # Boris's; Alice's is confirmed
        assert len(await here.calls("sendMessage")) == 1


@pytest.mark.parametrize("message", [{"text": 1}, {"chat": 5}, {"chat": {"id": []}}, {"from": "me"}], ids=str)
async def test_an_update_that_cannot_be_read_does_not_stop_the_polling(
    telemetry: Captured, tmp_path: Path, message: object
) -> None:
    async with world(telemetry, tmp_path) as here:
        async with here.sandbox.post("/sandbox/updates", json={"message": message}) as response:
            assert response.status == 200, await response.text()
        answer = await here.alice.answer_to("hello")
        assert answer.startswith("Send me a link")
        await here.updates_done()
    assert (
        telemetry.metrics()[
            "bot.update.errors", (("error_type", "ValidationError"), ("update_type", "message"))
        ]
        == 1
    )
    failed = [span for span in telemetry.spans() if span.status.status_code is StatusCode.ERROR]
    assert sorted((span.name, (span.attributes or {})["error.type"]) for span in failed) == [
        ("process message", "ValidationError"),
        ("set aside message", "ValidationError"),
    ]


async def test_polling_complains_once_while_nothing_can_be_stored(
    telemetry: Captured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}"
    database = Database(url)
    async with world(telemetry, tmp_path, database_url=url) as here:
        await here.active()
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE updates RENAME TO gone"))
        await here.alice.say("hello")
        before = len(await here.calls("getUpdates"))
        while len(await here.calls("getUpdates")) < before + 3:
            await asyncio.sleep(0.05)
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO updates"))
        await here.updates_done()
        assert len(await here.calls("sendMessage")) == 1
    await database.close()
    told = [record.getMessage() for record in caplog.records if "cannot be stored" in record.getMessage()]
    assert told == ["updates cannot be stored; Telegram keeps them meanwhile"]


async def test_a_press_from_before_the_restart_is_still_served(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.alice.say("/start")
        menu = await here.alice.until(lambda m: m["keyboard"])
        await here.fault(
            method="answerCallbackQuery",
            kind="error",
            error_code=400,
            description="Bad Request: query is too old and response timeout expired or query ID is invalid",
        )
        await here.alice.press(menu["message_id"], "mm.help")
        page = await here.alice.until(lambda m: m["edit_date"])
        assert page["text"].startswith("What I can do")
        await here.updates_done()
    assert (
        "bot.update.errors",
        (("error_type", "TelegramBadRequest"), ("update_type", "callback_query")),
    ) not in (telemetry.metrics())


async def test_a_throttled_progress_does_not_hold_the_file_back(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        await here.fault(method="editMessageText", kind="error", error_code=429, retry_after=25, times=2)
        await here.alice.say(f"{here.media}/sample.mp3")
        await here.alice.until(lambda m: m["attachment"], patience_s=15)


async def test_a_locked_database_delays_an_update_and_loses_none(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        await here.active()
        holder = sqlite3.connect(tmp_path / "bot.db", isolation_level=None, check_same_thread=False)
        # In a thread: the bot's own transaction needs this loop to end.
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        try:
            await here.alice.say("hello")
            await asyncio.sleep(3)  # longer than the door waits for a commit
            assert (await here.health())["database"] == "ok"  # reading does not wait for the writer
            assert len(await here.alice.chat()) == 1
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        told = await here.alice.until(lambda m: m["text"], patience_s=20)
        assert told["text"].startswith("Send me a link")
        await here.updates_done()
        assert len(await here.alice.chat()) == 2


async def test_a_group_is_not_disturbed(telemetry: Captured, tmp_path: Path) -> None:
    group = {"id": -100500, "type": "supergroup", "title": "friends"}
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        for number, text in enumerate(("hello", "/start@other_bot", "/nonsense"), 1):
            message = UPDATE["message"] | {"chat": group, "text": text}
            body = {"update_id": number, "message": message}
            async with here.web.post(PATH, headers=SECRET, json=body) as response:
                assert response.status == 200
        assert await here.calls("sendMessage") == []


async def test_a_link_behind_a_word_is_seen(telemetry: Captured, tmp_path: Path, media_samples: Path) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        entities = [{"type": "text_link", "offset": 0, "length": 4, "url": f"{here.media}/sample.mp3"}]
        message = UPDATE["message"] | {"text": "this", "entities": entities}
        async with here.sandbox.post("/sandbox/updates", json={"message": message}) as response:
            assert response.status == 200, await response.text()
        await here.alice.until(lambda m: m["attachment"])


async def test_a_wrong_token_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    async with serve("127.0.0.1", 0, token=TOKEN) as url:
        other = f"{TOKEN.split(':')[0]}:another-secret-of-the-same-bot"
        code, _, err = await run(tmp_path, "run", BOT_TOKEN=other, BOT_API_URL=url, WEB_PORT="0")
    assert code == 2
    assert err == (
        "tracegram: BOT_TOKEN: Telegram does not know this token. Ask @BotFather for the current one.\n"
    )


async def test_a_collector_that_hangs_does_not_hold_the_stop(tmp_path: Path) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hanging = await asyncio.start_server(never, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with serve("127.0.0.1", 0, token=TOKEN) as url, aiohttp.ClientSession(url) as session:
        process = await start(
            tmp_path,
            "run",
            BOT_TOKEN=TOKEN,
            BOT_API_URL=url,
            WEB_PORT="0",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        )
        while True:
            async with session.get("/sandbox/calls", params={"method": "setMyCommands"}) as response:
                if len((await response.json())["calls"]) == 2:
                    break
            await asyncio.sleep(0.05)
        process.terminate()
        async with asyncio.timeout(9):
            _, err = await process.communicate()
    hanging.close()
    assert process.returncode == 0
    assert b"Traceback" not in err


async def test_a_stop_of_the_play_leaves_nothing(tmp_path: Path) -> None:
    process = await start(tmp_path, "demo", "--play")
    await asyncio.sleep(2.5)
    process.terminate()
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode == 143
    assert [
        path.name for path in tmp_path.iterdir() if path.name.split("-")[0] in ("tracegram", "sandbox")
    ] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_does_not_exist_is_named_without_its_password(database_url: str) -> None:
    database = Database(f"{database_url.rsplit('/', 1)[0]}/none_such?{database_url.partition('?')[2]}")
    try:
        with pytest.raises(ConfigError) as raised:
            await migrate(database)
    finally:
        await database.close()
    assert str(raised.value).startswith("DATABASE_URL: the database does not answer, or refuses (")


def test_the_form_of_hosting_services_is_understood() -> None:
    given = Settings(
        _env_file=None,
        bot_token=TOKEN,
        database_url="postgres://u:p%40ss@db.example:5432/bot?sslmode=require",
    )
    assert given.database_url.get_secret_value() == (
        "postgresql+asyncpg://u:p%40ss@db.example:5432/bot?ssl=require"
    )
