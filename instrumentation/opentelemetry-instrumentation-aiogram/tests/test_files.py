"""Downloads and uploads of files, with a real session against a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import BufferedInputFile, InputMediaDocument, URLInputFile
from aiohttp import ClientResponseError, web
from aiohttp.test_utils import TestServer
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from opentelemetry import trace

from .kit import SECRET_TEXT, TOKEN, USER_ID, Spans, failed_without_text, parent_id, span_id

pytestmark = pytest.mark.usefixtures("instrumented")

SONG = b"0123456789" * 20_000
DOCUMENT = {"message_id": 31, "date": 1_700_000_000, "chat": {"id": 1, "type": "private"}}


class Telegram:
    """A Bot API that has one song, and takes uploads."""

    def __init__(self) -> None:
        self.uploaded: list[tuple[str, int]] = []
        app = web.Application()
        app.router.add_get("/file/bot{token}/{path:.*}", self._file)
        app.router.add_get("/elsewhere", self._elsewhere)
        app.router.add_post("/bot{token}/getFile", self._get_file)
        app.router.add_post("/bot{token}/{method}", self._upload)
        self.server = TestServer(app)

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["path"] != "song.mp3":
            raise web.HTTPNotFound
        return web.Response(body=SONG)

    async def _elsewhere(self, request: web.Request) -> web.Response:
        return web.Response(body=b"from afar")

    async def _get_file(self, request: web.Request) -> web.Response:
        file = {"file_id": "id", "file_unique_id": "u", "file_path": "song.mp3"}
        return web.json_response({"ok": True, "result": file})

    async def _upload(self, request: web.Request) -> web.Response:
        for field in (await request.post()).values():
            if isinstance(field, web.FileField):
                with field.file as file:
                    self.uploaded.append((field.filename, len(file.read())))
        album = request.match_info["method"] == "sendMediaGroup"
        return web.json_response({"ok": True, "result": [DOCUMENT, DOCUMENT] if album else DOCUMENT})


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    telegram = Telegram()
    await telegram.server.start_server()
    yield telegram
    await telegram.server.close()


@pytest.fixture
async def bot(telegram: Telegram) -> AsyncIterator[Bot]:
    api = TelegramAPIServer.from_base(str(telegram.server.make_url("")))
    bot = Bot(TOKEN, session=AiohttpSession(api=api))
    yield bot
    await bot.session.close()


async def test_a_download(telegram: Telegram, bot: Bot, spans: Spans) -> None:
    content = await bot.download("file-id")

    assert content is not None
    assert content.read() == SONG
    assert spans.names == ["getFile", "download file"]
    span = spans.one("download file")
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.body.size": len(SONG),
        "server.address": "127.0.0.1",
        "server.port": telegram.server.port,
    }
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET


async def test_a_file_that_is_not_there(telegram: Telegram, bot: Bot, spans: Spans) -> None:
    with pytest.raises(ClientResponseError):
        await bot.download_file("secret-name.mp3")

    span = spans.one("download file")
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.body.size": 0,
        "http.response.status_code": 404,
        "error.type": "aiohttp.client_exceptions.ClientResponseError",
        "server.address": "127.0.0.1",
        "server.port": telegram.server.port,
    }
    assert failed_without_text(span)
    assert TOKEN not in spans.as_text()
    assert "secret-name" not in spans.as_text()


async def test_a_reader_that_stops_has_not_failed(bot: Bot, spans: Spans) -> None:
    url = bot.session.api.file_url(TOKEN, "song.mp3")
    pieces = bot.session.stream_content(url, chunk_size=1000)
    assert await anext(pieces) == SONG[:1000]
    await pieces.aclose()

    span = spans.one("download file")
    assert (span.attributes or {})["http.response.body.size"] == 1000
    assert span.status.status_code is StatusCode.UNSET


async def test_a_reader_is_not_inside_the_download(bot: Bot, spans: Spans) -> None:
    with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)) as around:
        async for _ in bot.session.stream_content(bot.session.api.file_url(TOKEN, "song.mp3")):
            assert get_current_span() is around

    assert spans.names == ["download file"]


async def test_a_download_that_is_cancelled(bot: Bot, spans: Spans) -> None:
    async def read() -> None:
        async for _ in bot.session.stream_content(bot.session.api.file_url(TOKEN, "song.mp3")):
            await asyncio.Event().wait()

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(read(), 0.3)
    # The generator is closed by the loop, once nobody holds it.
    await asyncio.sleep(0.05)

    assert spans.names == ["download file"]


async def test_an_upload_is_one_call(telegram: Telegram, bot: Bot, spans: Spans) -> None:
    await bot.send_document(USER_ID, BufferedInputFile(b"x" * 4000, SECRET_TEXT))

    assert telegram.uploaded == [(SECRET_TEXT, 4000)]
    assert spans.one("sendDocument").attributes == {
        "rpc.system.name": "telegram_bot_api",
        "rpc.method": "sendDocument",
        "rpc.response.status_code": "200",
        "server.address": "127.0.0.1",
        "server.port": telegram.server.port,
        "telegram.chat.type": "private",
        "telegram.message.id": 31,
    }
    assert SECRET_TEXT not in spans.as_text()


async def test_an_album_is_one_call(telegram: Telegram, bot: Bot, spans: Spans) -> None:
    album: Any = [InputMediaDocument(media=BufferedInputFile(b"x" * size, "f")) for size in (10, 20)]
    await bot.send_media_group(USER_ID, album)

    assert sorted(telegram.uploaded) == [("f", 10), ("f", 20)]
    assert spans.names == ["sendMediaGroup"]
    assert (spans.one("sendMediaGroup").attributes or {})["telegram.messages.count"] == 2


async def test_an_upload_from_elsewhere_does_not_say_from_where(
    telegram: Telegram, bot: Bot, spans: Spans
) -> None:
    url = str(telegram.server.make_url("/elsewhere")).replace("127.0.0.1", "localhost")
    await bot.send_document(USER_ID, URLInputFile(url, filename="f"))

    assert telegram.uploaded == [("f", 9)]
    upload, download = spans.one("sendDocument"), spans.one("download file")
    assert download.attributes == {"http.request.method": "GET", "http.response.body.size": 9}
    assert parent_id(download) == span_id(upload)
