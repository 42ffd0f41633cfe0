"""The four hooks: what they are given, and that their failures stay theirs."""

from collections.abc import Iterator
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, Router
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.exceptions import TelegramNotFound
from aiogram.methods import SendMessage, TelegramMethod
from aiogram.types import Message, Update
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor, Routing, safety

from .kit import Spans, bot_with, message, sent_message

HOOKS = ("update_hook", "unhandled_hook", "request_hook", "response_hook")


@pytest.fixture
def uninstrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(safety, "_reported", set())
    yield
    AiogramInstrumentor().uninstrument()


pytestmark = pytest.mark.usefixtures("uninstrumented")


async def test_what_hooks_are_given(
    dispatcher: Dispatcher, router: Router, tracer_provider: TracerProvider, spans: Spans
) -> None:
    given: list[Any] = []

    def update_hook(span: Span, update: Update) -> None:
        span.set_attribute("hooked.update", update.update_id)

    def request_hook(span: Span, method: TelegramMethod[Any]) -> None:
        span.set_attribute("hooked.request", method.__api_method__)

    def response_hook(span: Span, method: TelegramMethod[Any], result: Any) -> None:
        given.append((method.__api_method__, result))
        span.set_attribute("hooked.response", type(result).__name__)

    def unhandled_hook(span: Span, update: Update, routing: Routing) -> None:
        assert get_current_span() is span
        span.set_attribute("hooked.unhandled", routing.reason)

    @router.message()
    async def answers(event: Message) -> Any:
        await event.answer("one")
        with pytest.raises(TelegramNotFound):
            await event.answer("two")
        return UNHANDLED

    refusal = TelegramNotFound(SendMessage(chat_id=1, text="x"), "gone")
    AiogramInstrumentor().instrument(
        tracer_provider=tracer_provider,
        update_hook=update_hook,
        request_hook=request_hook,
        response_hook=response_hook,
        unhandled_hook=unhandled_hook,
    )
    await dispatcher.feed_raw_update(bot_with(answer := sent_message(3), refusal), message(update_id=17))

    assert given == [("sendMessage", answer), ("sendMessage", refusal)]
    hooked = [
        {name: value for name, value in (span.attributes or {}).items() if name.startswith("hooked.")}
        for span in spans.all
    ]
    assert hooked == [
        {"hooked.request": "sendMessage", "hooked.response": "Message"},
        {"hooked.request": "sendMessage", "hooked.response": "TelegramNotFound"},
        {},
        {"hooked.update": 17, "hooked.unhandled": "declined"},
    ]


def fails(*args: Any) -> None:
    raise LookupError("a hook of yours")


def failing_bot(router: Router) -> list[str]:
    handled: list[str] = []

    @router.message()
    async def answers(event: Message) -> Any:
        await event.answer("hello")
        handled.append("once")
        return UNHANDLED

    return handled


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_that_fails_fails_nothing_else(
    hook: str,
    dispatcher: Dispatcher,
    router: Router,
    bot: Bot,
    tracer_provider: TracerProvider,
    spans: Spans,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled = failing_bot(router)
    AiogramInstrumentor().instrument(
        tracer_provider=tracer_provider, raise_telemetry_errors=False, **{hook: fails}
    )
    for _ in range(2):
        assert await dispatcher.feed_raw_update(bot, message()) is UNHANDLED

    assert handled == ["once", "once"]
    assert spans.names == ["sendMessage", "handle answers", "process message"] * 2
    (call, _, update, *_) = spans.all
    assert (call.attributes or {})["rpc.response.status_code"] == "200"
    assert (update.attributes or {})["telegram.routing.reason"] == "declined"
    assert get_current_span() is INVALID_SPAN
    (warning,) = (record.getMessage() for record in caplog.records if record.name == safety.__name__)
    assert f"failed in {hook} with LookupError" in warning


@pytest.mark.parametrize("hook", HOOKS)
async def test_under_pytest_it_fails_the_test_and_leaves_nothing_current(
    hook: str, dispatcher: Dispatcher, router: Router, bot: Bot, tracer_provider: TracerProvider
) -> None:
    failing_bot(router)
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, **{hook: fails})
    with pytest.raises(LookupError):
        await dispatcher.feed_raw_update(bot, message())

    assert get_current_span() is INVALID_SPAN


async def test_spans_that_nobody_keeps_have_no_hooks(
    dispatcher: Dispatcher, router: Router, bot: Bot
) -> None:
    handled = failing_bot(router)
    AiogramInstrumentor().instrument(
        tracer_provider=TracerProvider(sampler=ALWAYS_OFF), **dict.fromkeys(HOOKS, fails)
    )
    await dispatcher.feed_raw_update(bot, message())

    assert handled == ["once"]
