"""Telemetry that fails never fails an update; under pytest it fails the test."""

import logging
from typing import Any

import pytest
from aiogram import Dispatcher
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import Message
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import INVALID_SPAN, get_current_span

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor, safety

from .kit import SECRET_TEXT, SECRETS, bot_with, message


class Broken(SpanProcessor):
    """A span processor of somebody else that fails on the way in or on the way out."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Fail at the start."""
        if self._stage == "start":
            raise LookupError(SECRET_TEXT)

    def on_end(self, span: ReadableSpan) -> None:
        """Fail at the end."""
        if self._stage == "end":
            raise LookupError(SECRET_TEXT)


def dispatcher_with(handled: list[int]) -> Dispatcher:
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def passes(event: Message) -> None:
        raise SkipHandler

    @dispatcher.message()
    async def answers(event: Message) -> str:
        await event.answer("hello")
        handled.append(event.message_id)
        return "answered"

    return dispatcher


@pytest.fixture
def instrument(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(safety, "_reported", set())

    def instrument(stage: str, **kwargs: Any) -> None:
        provider = TracerProvider()
        provider.add_span_processor(Broken(stage))
        AiogramInstrumentor().instrument(tracer_provider=provider, **kwargs)

    yield instrument
    AiogramInstrumentor().uninstrument()


@pytest.mark.parametrize("stage", ["start", "end"])
async def test_the_bot_goes_on_and_one_warning_per_kind_is_logged(
    instrument: Any, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    instrument(stage, raise_telemetry_errors=False)
    handled: list[int] = []
    dispatcher = dispatcher_with(handled)

    for update_id in (1, 2, 3):
        assert await dispatcher.feed_raw_update(bot_with(), message(update_id)) == "answered"

    assert handled == [5, 5, 5]
    assert get_current_span() is INVALID_SPAN
    warnings = [record for record in caplog.records if record.name == safety.__name__]
    places = {
        "start": [f"{place} with" for place in ("open_update", "open_handler", "RequestTracing.open")],
        "end": ["RequestScope.finish", "HandlerScope.finish", "UpdateScope.finish"],
    }
    assert len(warnings) == len(places[stage])
    assert {record.levelno for record in warnings} == {logging.WARNING}
    told = sorted(record.getMessage() for record in warnings)
    for place in places[stage]:
        assert [place in message for message in told].count(True) == 1
    for record in warnings:
        assert "LookupError" in record.getMessage()
        assert not [secret for secret in SECRETS if secret in record.getMessage()]


async def test_the_bots_own_errors_pass_unchanged(instrument: Any) -> None:
    instrument("end", raise_telemetry_errors=False)
    dispatcher, error = Dispatcher(), ValueError("the bot's own")

    @dispatcher.message()
    async def breaks(event: Message) -> None:
        raise error

    with pytest.raises(ValueError, match="own") as raised:
        await dispatcher.feed_raw_update(bot_with(), message())

    assert raised.value is error


@pytest.mark.parametrize("stage", ["start", "end"])
async def test_under_pytest_errors_of_the_telemetry_are_raised(instrument: Any, stage: str) -> None:
    instrument(stage)

    with pytest.raises(LookupError, match=SECRET_TEXT):
        await dispatcher_with([]).feed_raw_update(bot_with(), message())


async def test_outside_pytest_they_are_swallowed(
    instrument: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    instrument("start")
    monkeypatch.delenv("PYTEST_VERSION")

    assert await dispatcher_with([]).feed_raw_update(bot_with(), message()) == "answered"
    assert "LookupError" in caplog.text


async def test_the_switch_raises_outside_pytest(instrument: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    instrument("start", raise_telemetry_errors=True)
    monkeypatch.delenv("PYTEST_VERSION")

    with pytest.raises(LookupError):
        await dispatcher_with([]).feed_raw_update(bot_with(), message())
