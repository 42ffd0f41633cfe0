"""What a handler returns: sent by aiogram when the update is over, and still in its trace."""

import asyncio
import gc
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, Router
from aiogram.methods import GetUpdates, SendMessage
from aiogram.types import Message, Update, User
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, get_current_span

from opentelemetry.instrumentation.aiogram.answers import Answers

from .kit import TOKEN, FakeSession, Spans, message, parent_id, span_id

pytestmark = pytest.mark.usefixtures("instrumented")


@pytest.fixture
def answering(router: Router) -> None:
    @router.message()
    async def returns(event: Message) -> SendMessage:
        return event.answer("hello")


async def until(condition: Any) -> None:
    """Wait until something is true."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not become true")


def assert_one_trace(spans: Spans) -> None:
    handler, update, call = spans.all
    assert spans.names == ["handle returns", "process message", "sendMessage"]
    assert [parent_id(handler), parent_id(call)] == [span_id(update), span_id(update)]
    assert update.parent is None
    assert (update.attributes or {})["telegram.answer.method"] == "sendMessage"
    assert (update.attributes or {})["telegram.update.outcome"] == "handled"
    assert get_current_span() is INVALID_SPAN


@pytest.mark.usefixtures("answering")
async def test_by_webhook_in_the_background(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, handle_in_background=True).register(app, "/webhook")
    async with TestClient(TestServer(app)) as client:
        async with client.post("/webhook", json=message()) as response:
            assert (response.status, await response.json()) == (200, {})
        await until(lambda: "sendMessage" in spans.names)

    assert_one_trace(spans)


@pytest.mark.usefixtures("answering")
async def test_into_the_webhooks_answer(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    """No request is made, so there is no call: the update says what was answered."""
    app = web.Application()
    SimpleRequestHandler(dispatcher, bot, handle_in_background=False).register(app, "/webhook")
    async with (
        TestClient(TestServer(app)) as client,
        client.post("/webhook", json=message()) as response,
    ):
        assert "sendMessage" in await response.text()

    assert spans.names == ["handle returns", "process message"]
    assert (spans.one("process message").attributes or {})["telegram.answer.method"] == "sendMessage"


@pytest.mark.usefixtures("answering")
async def test_after_a_webhook_that_took_too_long(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    async def slow(handler: Any, event: Any, data: Any) -> Any:
        await asyncio.sleep(0.1)
        return await handler(event, data)

    dispatcher.update.outer_middleware(slow)
    with pytest.warns(RuntimeWarning, match="slow response"):
        await feed_slowly(dispatcher, bot, spans)

    assert_one_trace(spans)


async def feed_slowly(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    await dispatcher.feed_webhook_update(bot, message(), _timeout=0.01)
    await until(lambda: "sendMessage" in spans.names)


class OneUpdate(FakeSession):
    """A long poll that brings one update."""

    async def make_request(self, bot: Bot, method: Any, timeout: int | None = None) -> Any:
        """Answer the first poll, let the others wait."""
        if not isinstance(method, GetUpdates):
            return await super().make_request(bot, method, timeout)
        if method.offset is not None:
            await asyncio.sleep(10)
        return [Update.model_validate(message(), context={"bot": bot})]


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("as_tasks", [True, False])
async def test_by_polling(as_tasks: bool, dispatcher: Dispatcher, spans: Spans) -> None:
    me = User(id=4242424242, is_bot=True, first_name="Bot", username="bot")
    bot = Bot(TOKEN, session=OneUpdate(me))
    polling = asyncio.ensure_future(
        dispatcher.start_polling(bot, handle_signals=False, handle_as_tasks=as_tasks)
    )
    await until(lambda: "sendMessage" in spans.names)
    await dispatcher.stop_polling()
    await polling

    # `getMe` is aiogram's own start.
    assert spans.names == ["getMe", "handle returns", "process message", "sendMessage"]
    _, _, update, call = spans.all
    assert parent_id(call) == span_id(update)


def test_nothing_is_kept_of_an_answer(tracer_provider: TracerProvider) -> None:
    answers, result = Answers(), SendMessage(chat_id=1, text="x")
    with tracer_provider.get_tracer("t").start_as_current_span("update") as span:
        answers.keep(span, result)
    assert get_current_span(answers.context_of(result)).get_span_context() == span.get_span_context()

    del result
    gc.collect()
    assert answers._spans == {}
