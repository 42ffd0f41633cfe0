"""Nothing secret leaves over HTTP or in a span, with a real session and a globally patched aiohttp client."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError, TelegramNotFound, TelegramRetryAfter
from aiogram.types import CallbackQuery, Message
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from opentelemetry import baggage, context

from .kit import SECRET_TEXT, SECRETS, TOKEN, USER_ID, Spans, callback_query, message

pytestmark = pytest.mark.usefixtures("instrumented", "patched_aiohttp")

SENT = {"ok": True, "result": {"message_id": 31, "date": 1_700_000_000, "chat": {"id": 1, "type": "private"}}}


class BotApi:
    """A Bot API on loopback that keeps the headers that it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps(SENT)
        self.delay = 0.0
        self.requests: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        return web.Response(status=self.status, text=self.body, content_type="application/json")

    def refuses(self, status: int, description: str, **parameters: Any) -> None:
        """Answer with an error from now on."""
        self.status = status
        error = {"ok": False, "error_code": status, "description": description}
        self.body = json.dumps({**error, "parameters": parameters} if parameters else error)


@pytest.fixture
def patched_aiohttp(tracer_provider: TracerProvider) -> Iterator[None]:
    AioHttpClientInstrumentor().instrument(tracer_provider=tracer_provider)
    yield
    AioHttpClientInstrumentor().uninstrument()


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    api = BotApi()
    await api.server.start_server()
    yield api
    await api.server.close()


@pytest.fixture
async def bot(api: BotApi) -> AsyncIterator[Bot]:
    server = TelegramAPIServer.from_base(str(api.server.make_url("")))
    bot = Bot(TOKEN, session=AiohttpSession(api=server, timeout=5))
    token = context.attach(baggage.set_baggage("user", SECRET_TEXT))
    yield bot
    context.detach(token)
    await bot.session.close()


def assert_nothing_secret(spans: Spans) -> None:
    exported = spans.as_text()
    assert [secret for secret in SECRETS if secret in exported] == []


async def test_the_client_is_patched(api: BotApi, bot: Bot, spans: Spans) -> None:
    """Without this the tests below would prove nothing."""
    async with aiohttp.ClientSession() as session, session.get(api.server.make_url("/elsewhere")):
        pass

    assert spans.names == ["GET"]
    assert {"traceparent", "baggage"} <= {name.lower() for name in api.requests[0].headers}


async def test_telegram_gets_no_trace_headers(api: BotApi, bot: Bot, spans: Spans) -> None:
    await bot.send_message(USER_ID, SECRET_TEXT)

    assert spans.one("sendMessage").attributes == {
        "rpc.system.name": "telegram_bot_api",
        "rpc.method": "sendMessage",
        "rpc.response.status_code": "200",
        "server.address": "127.0.0.1",
        "server.port": api.server.port,
        "telegram.chat.type": "private",
        "telegram.message.id": 31,
    }
    assert spans.names == ["sendMessage"]
    (request,) = api.requests
    assert request.path == f"/bot{TOKEN}/sendMessage"
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in request.headers}
    assert_nothing_secret(spans)


async def test_long_polling_leaves_nothing_behind(api: BotApi, bot: Bot, spans: Spans) -> None:
    api.body = json.dumps({"ok": True, "result": []})

    await bot.get_updates()

    assert spans.names == []
    assert "traceparent" not in api.requests[0].headers


@pytest.mark.parametrize("found", [True, False])
async def test_file_downloads(api: BotApi, bot: Bot, spans: Spans, found: bool) -> None:
    if found:
        content = await bot.download_file("music/song.mp3")
        assert content is not None
        assert content.read() == api.body.encode()
    else:
        api.status = 404
        with pytest.raises(aiohttp.ClientResponseError):
            await bot.download_file("music/song.mp3")

    assert api.requests[0].path == f"/file/bot{TOKEN}/music/song.mp3"
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in api.requests[0].headers}
    assert spans.names == ["download file"]
    assert_nothing_secret(spans)
    assert "song.mp3" not in spans.as_text()


async def test_a_download_suppresses_nothing_between_its_chunks(api: BotApi, bot: Bot, spans: Spans) -> None:
    url = bot.session.api.file_url(TOKEN, "song.mp3")
    async for _ in bot.session.stream_content(url):
        async with aiohttp.ClientSession() as session, session.get(api.server.make_url("/elsewhere")):
            pass

    assert spans.names == ["GET", "download file"]


@pytest.mark.parametrize("failure", ["timeout", "refused", "bad json", "429", "404"])
async def test_failures(failure: str, api: BotApi, bot: Bot, spans: Spans) -> None:
    expected: type[Exception] = TelegramNetworkError
    timeout = 5
    if failure == "timeout":
        api.delay, timeout = 2, 1
    elif failure == "refused":
        await api.server.close()
    elif failure == "bad json":
        api.body, expected = f"<html>{TOKEN}", ClientDecodeError
    elif failure == "429":
        api.refuses(429, f"Too Many Requests {TOKEN}", retry_after=3)
        expected = TelegramRetryAfter
    else:
        api.refuses(404, f"Not Found {SECRET_TEXT}")
        expected = TelegramNotFound

    with pytest.raises(expected):
        await bot.send_message(USER_ID, SECRET_TEXT, request_timeout=timeout)

    assert (spans.one("sendMessage").attributes or {})[
        "error.type"
    ] == f"aiogram.exceptions.{expected.__name__}"
    assert spans.names == ["sendMessage"]
    assert_nothing_secret(spans)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_whole_conversation_tells_nothing(api: BotApi, bot: Bot, spans: Spans, fails: bool) -> None:
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def repeats(event: Message) -> None:
        await event.reply(event.text or "")
        if fails:
            raise ValueError(event.text, event.from_user)

    @dispatcher.callback_query()
    async def pressed(query: CallbackQuery) -> None:
        await query.answer(query.data)
        if fails:
            raise ValueError(query.data, query.from_user)

    dispatcher.error.register(lambda event: None)
    await dispatcher.feed_raw_update(bot, message())
    api.body = json.dumps({"ok": True, "result": True})
    await dispatcher.feed_raw_update(bot, callback_query())

    assert {"process message", "process callback_query", "answerCallbackQuery"} < set(spans.names)
    assert_nothing_secret(spans)
