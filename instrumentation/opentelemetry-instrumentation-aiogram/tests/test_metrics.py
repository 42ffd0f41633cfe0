"""Metrics under the names of the conventions; nothing is measured where nobody asked."""

import asyncio
from typing import Any

import pytest
from aiogram import Dispatcher, F, Router
from aiogram.exceptions import TelegramRetryAfter
from aiogram.methods import GetUpdates, SendMessage
from aiogram.types import Message
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.test.test_base import TestBase
from opentelemetry.trace import NoOpTracerProvider

from opentelemetry.instrumentation import aiogram as aiogram_instrumentation
from opentelemetry.instrumentation.aiogram import AiogramInstrumentor, metrics

from .kit import Measured, OutOfPaperError, bot_with, callback_query, message, qualified, sent_message

UPDATE = {"messaging.system": "telegram", "messaging.operation.name": "process"}
CALL = {"rpc.system.name": "telegram_bot_api", "server.address": "api.telegram.org"}


async def conversation(dispatcher: Dispatcher, router: Router) -> None:
    """Two messages that are answered, one of them after a 429, one that breaks, and a press that nobody wants."""

    @router.message(F.text == "break")
    async def breaks(event: Message) -> None:
        raise OutOfPaperError

    @router.message()
    async def answers(event: Message) -> None:
        await event.answer("hello")

    refusal = TelegramRetryAfter(SendMessage(chat_id=1, text="x"), "later", 7)
    bot = bot_with(sent_message(1), refusal, [])
    await dispatcher.feed_raw_update(bot, message())
    with pytest.raises(TelegramRetryAfter):
        await dispatcher.feed_raw_update(bot, message())
    with pytest.raises(OutOfPaperError):
        await dispatcher.feed_raw_update(bot, message(text="break"))
    await dispatcher.feed_raw_update(bot, callback_query())
    await bot(GetUpdates())


MEASURED = {
    "messaging.client.consumed.messages": [
        (3, {**UPDATE, "messaging.destination.name": "message"}),
        (1, {**UPDATE, "messaging.destination.name": "callback_query"}),
    ],
    "messaging.process.duration": [
        (1, {**UPDATE, "messaging.destination.name": "message", "telegram.update.outcome": "handled"}),
        (
            1,
            {
                **UPDATE,
                "messaging.destination.name": "message",
                "telegram.update.outcome": "error",
                "error.type": "aiogram.exceptions.TelegramRetryAfter",
            },
        ),
        (
            1,
            {
                **UPDATE,
                "messaging.destination.name": "message",
                "telegram.update.outcome": "error",
                "error.type": qualified(OutOfPaperError),
            },
        ),
        (
            1,
            {
                **UPDATE,
                "messaging.destination.name": "callback_query",
                "telegram.update.outcome": "unhandled",
            },
        ),
    ],
    "rpc.client.call.duration": [
        (1, {**CALL, "rpc.method": "sendMessage", "rpc.response.status_code": "200"}),
        (
            1,
            {
                **CALL,
                "rpc.method": "sendMessage",
                "rpc.response.status_code": "429",
                "error.type": "aiogram.exceptions.TelegramRetryAfter",
            },
        ),
    ],
}


@pytest.mark.parametrize("traces", [True, False])
async def test_updates_and_calls_are_measured(
    traces: bool,
    dispatcher: Dispatcher,
    router: Router,
    tracer_provider: TracerProvider,
    meter_provider: MeterProvider,
    measured: Measured,
) -> None:
    """Whether there are spans or not."""
    AiogramInstrumentor().instrument(
        tracer_provider=tracer_provider if traces else NoOpTracerProvider(), meter_provider=meter_provider
    )
    await conversation(dispatcher, router)
    AiogramInstrumentor().uninstrument()

    assert measured.points() == MEASURED


async def test_units_and_buckets(
    dispatcher: Dispatcher, router: Router, meter_provider: MeterProvider, measured: Measured
) -> None:
    AiogramInstrumentor().instrument(meter_provider=meter_provider)
    await conversation(dispatcher, router)
    AiogramInstrumentor().uninstrument()

    found = {metric.name: metric for metric in measured.metrics()}
    assert {name: metric.unit for name, metric in found.items()} == {
        "messaging.client.consumed.messages": "{message}",
        "messaging.process.duration": "s",
        "rpc.client.call.duration": "s",
    }
    for metric in found.values():
        if isinstance(metric.data, Histogram):
            point: Any = metric.data.data_points[0]
            assert point.explicit_bounds[:2] == (0.005, 0.01)
            assert 0 < point.sum < 5


async def test_an_exemplar_names_the_trace(
    dispatcher: Dispatcher,
    router: Router,
    tracer_provider: TracerProvider,
    meter_provider: MeterProvider,
    measured: Measured,
    exporter: Any,
) -> None:
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
    await conversation(dispatcher, router)
    AiogramInstrumentor().uninstrument()

    known = {span.context.span_id: span.name for span in exporter.get_finished_spans()}
    named = {
        (metric.name, known[exemplar.span_id])
        for metric in measured.metrics()
        if isinstance(metric.data, Histogram)
        for point in metric.data.data_points
        for exemplar in point.exemplars
    }
    assert named == {
        ("messaging.process.duration", "process message"),
        ("messaging.process.duration", "process callback_query"),
        ("rpc.client.call.duration", "sendMessage"),
    }


async def test_a_provider_that_measures_nothing_is_not_asked(
    dispatcher: Dispatcher, router: Router, tracer_provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(metrics.Metrics, "consumed", never)
    monkeypatch.setattr(metrics.Metrics, "called", never)
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, meter_provider=NoOpMeterProvider())
    await conversation(dispatcher, router)
    AiogramInstrumentor().uninstrument()


class TestGlobalProviders(TestBase):
    """Left out, the global providers are used, those that are set later included."""

    async def _echo(self) -> None:
        dispatcher, bot = Dispatcher(), bot_with()

        @dispatcher.message()
        async def echo(event: Message) -> None:
            await event.answer("hello")

        await dispatcher.feed_raw_update(bot, message())

    def test_spans_and_metrics(self) -> None:
        """One conversation, all signals."""
        AiogramInstrumentor().instrument()
        asyncio.run(self._echo())
        AiogramInstrumentor().uninstrument()
        asyncio.run(self._echo())

        spans = self.get_finished_spans()  # type: ignore[no-untyped-call]  # the package says no types
        assert [span.name for span in spans] == ["sendMessage", "handle echo", "process message"]
        for span in spans:
            self.assertEqualSpanInstrumentationScope(span, aiogram_instrumentation)  # type: ignore[no-untyped-call]
        assert Measured(self.memory_metrics_reader).points() == {
            "messaging.client.consumed.messages": [(1, {**UPDATE, "messaging.destination.name": "message"})],
            "messaging.process.duration": [
                (1, {**UPDATE, "messaging.destination.name": "message", "telegram.update.outcome": "handled"})
            ],
            "rpc.client.call.duration": [
                (1, {**CALL, "rpc.method": "sendMessage", "rpc.response.status_code": "200"})
            ],
        }
