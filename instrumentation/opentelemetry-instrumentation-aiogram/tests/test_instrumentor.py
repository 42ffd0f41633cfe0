"""What `instrument` and `uninstrument` do to aiogram's classes."""

import logging
from importlib.metadata import requires
from typing import Any

import pytest
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.manager import RequestMiddlewareManager
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.dispatcher.event.handler import FilterObject, HandlerObject
from aiogram.dispatcher.event.telegram import TelegramEventObserver
from aiogram.fsm.middleware import FSMContextMiddleware
from aiogram.types import Message
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider
from packaging.requirements import Requirement

from opentelemetry import trace
from opentelemetry.instrumentation.aiogram import AiogramInstrumentor

from .kit import Spans, bot_with, message

CLASSES = (
    Dispatcher,
    HandlerObject,
    FSMContextMiddleware,
    RequestMiddlewareManager,
    AiohttpSession,
    TelegramEventObserver,
    FilterObject,
)


def echo_dispatcher() -> Dispatcher:
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def echo(event: Message) -> None:
        await event.answer("hello")

    return dispatcher


async def feed(dispatcher: Dispatcher, bot: Bot) -> None:
    await dispatcher.feed_raw_update(bot, message())


TRACED = ["sendMessage", "handle echo", "process message"]


async def test_uninstrument_leaves_aiogram_as_it_was(tracer_provider: TracerProvider, spans: Spans) -> None:
    before = [dict(vars(cls)) for cls in CLASSES]
    dispatcher, bot = echo_dispatcher(), bot_with()

    AiogramInstrumentor().instrument(tracer_provider=tracer_provider)
    during = [dict(vars(cls)) for cls in CLASSES]
    await feed(dispatcher, bot)
    AiogramInstrumentor().uninstrument()
    await feed(dispatcher, bot)

    changed = [
        sorted(name for name in new if new[name] is not old.get(name))
        for old, new in zip(before, during, strict=True)
    ]
    assert changed == [
        ["feed_update", "silent_call_request"],
        ["call"],
        ["__call__"],
        ["wrap_middlewares"],
        ["stream_content"],
        ["trigger"],
        ["call"],
    ]
    assert [dict(vars(cls)) for cls in CLASSES] == before
    assert "call" not in vars(HandlerObject)
    assert spans.names == TRACED


def test_filters_are_touched_only_to_explain(tracer_provider: TracerProvider) -> None:
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, explain_unhandled=False)
    touched = [
        hasattr(method, "__wrapped__") for method in (FilterObject.call, TelegramEventObserver.trigger)
    ]
    AiogramInstrumentor().uninstrument()

    assert touched == [False, False]


async def test_what_is_wrapped_may_still_be_called_on_its_class(
    instrumented: AiogramInstrumentor, spans: Spans
) -> None:
    async def echoes(event: str) -> str:
        return event

    assert await HandlerObject.call(HandlerObject(echoes), "one") == "one"
    assert await FilterObject.call(FilterObject(echoes), "two") == "two"
    assert await TelegramEventObserver.trigger(Dispatcher().message, "three") is UNHANDLED  # type: ignore[arg-type]
    assert spans.names == ["handle echoes"]


async def test_dispatchers_and_bots_from_before_are_traced(
    tracer_provider: TracerProvider, spans: Spans
) -> None:
    dispatcher, bot = echo_dispatcher(), bot_with()
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider)
    await feed(dispatcher, bot)
    AiogramInstrumentor().uninstrument()

    assert spans.names == TRACED


async def test_instrument_twice_traces_once(
    instrumented: AiogramInstrumentor,
    tracer_provider: TracerProvider,
    spans: Spans,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        AiogramInstrumentor().instrument(tracer_provider=tracer_provider)
    await feed(echo_dispatcher(), bot_with())

    assert "already instrumented" in caplog.text
    assert spans.names == TRACED
    instrumented.uninstrument()
    assert not hasattr(Dispatcher.feed_update, "__wrapped__")


async def test_the_global_provider_is_the_default(
    tracer_provider: TracerProvider, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracer_provider)
    AiogramInstrumentor().instrument()
    await feed(echo_dispatcher(), bot_with())
    AiogramInstrumentor().uninstrument()

    assert spans.names == TRACED


async def test_suppressed_instrumentation_is_respected(
    instrumented: AiogramInstrumentor, spans: Spans
) -> None:
    with suppress_instrumentation():
        await feed(echo_dispatcher(), bot_with())

    assert spans.names == []


async def test_a_no_op_tracer_hides_no_span_of_others(tracer_provider: TracerProvider) -> None:
    seen: list[Any] = []
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def looks(event: Message) -> None:
        seen.append(trace.get_current_span())

    AiogramInstrumentor().instrument(tracer_provider=NoOpTracerProvider())
    with tracer_provider.get_tracer("door").start_as_current_span("door") as door:
        await feed(dispatcher, bot_with())
    await feed(dispatcher, bot_with())
    AiogramInstrumentor().uninstrument()

    assert seen == [door, trace.INVALID_SPAN]


async def test_an_unsampled_update_is_unsampled_as_a_whole(tracer_provider: TracerProvider) -> None:
    seen: list[trace.SpanContext] = []
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def looks(event: Message) -> None:
        seen.append(trace.get_current_span().get_span_context())

    AiogramInstrumentor().instrument(tracer_provider=TracerProvider(sampler=ALWAYS_OFF))
    await feed(dispatcher, bot_with())
    AiogramInstrumentor().uninstrument()

    (context,) = seen
    assert context.is_valid
    assert not context.trace_flags.sampled


def test_the_extra_names_the_versions_that_are_instrumented() -> None:
    declared = [
        Requirement(line)
        for line in requires("opentelemetry-instrumentation-aiogram") or []
        if "instruments" in line
    ]
    (own,) = map(Requirement, AiogramInstrumentor().instrumentation_dependencies())

    assert [(extra.name, extra.specifier) for extra in declared] == [(own.name, own.specifier)]


async def test_another_major_version_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("opentelemetry.instrumentation.dependencies.version", lambda name: "4.0.0")
    AiogramInstrumentor().instrument()

    assert "aiogram" in caplog.text
    assert not hasattr(Dispatcher.feed_update, "__wrapped__")
