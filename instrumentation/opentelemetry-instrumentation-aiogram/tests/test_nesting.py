"""Which span is the parent of which, also with several updates at once."""

import asyncio
import logging
from contextvars import copy_context

import pytest
from aiogram import Bot, Dispatcher, F, Router
from aiogram.types import Message
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from .kit import (
    OutOfPaperError,
    Spans,
    message,
    parent_id,
    span_id,
)

pytestmark = pytest.mark.usefixtures("instrumented")


def here(function: str) -> str:
    """The name of a function of this module, as telemetry has it."""
    return f"{__name__}.{function}"


async def test_continues_the_trace_of_the_current_span(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans, tracer_provider: TracerProvider
) -> None:
    @router.message()
    async def answers(event: Message) -> None:
        await event.answer("hello")

    with tracer_provider.get_tracer("door").start_as_current_span("POST /webhook"):
        await dispatcher.feed_raw_update(bot, message())

    call, handler, update, door = spans.all
    assert spans.names == ["sendMessage", "handle answers", "process message", "POST /webhook"]
    assert [parent_id(call), parent_id(handler), parent_id(update)] == [
        span_id(handler),
        span_id(update),
        span_id(door),
    ]
    assert len({span.context.trace_id for span in spans.all if span.context}) == 1


async def test_what_was_current_is_current_again(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans, tracer_provider: TracerProvider
) -> None:
    @router.message()
    async def answers_twice(event: Message) -> None:
        await event.answer("one")
        await event.answer("two")

    with tracer_provider.get_tracer("door").start_as_current_span("door") as door:
        await dispatcher.feed_raw_update(bot, message(1))
        assert get_current_span() is door
        await dispatcher.feed_raw_update(bot, message(2))

    first, second, handler, update, *_, again, _ = spans.all
    assert [span.name for span in (first, second)] == ["sendMessage"] * 2
    assert parent_id(first) == parent_id(second) == span_id(handler)
    assert parent_id(update) == parent_id(again) == door.get_span_context().span_id


async def test_an_update_that_is_thrown_away_ends_quietly(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    @router.message()
    async def waits(event: Message) -> None:
        await asyncio.sleep(0)

    update = dispatcher.feed_raw_update(bot, message())
    copy_context().run(update.send, None)
    update.close()

    assert spans.names == ["handle waits", "process message"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_two_updates_at_once_do_not_mix(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    started = {"good": asyncio.Event(), "bad": asyncio.Event()}

    async def until_both_run(event: Message) -> None:
        started[event.text or ""].set()
        await asyncio.gather(*(one.wait() for one in started.values()))

    @router.message(F.text == "good")
    async def works(event: Message) -> None:
        await until_both_run(event)
        await event.answer("done")
        await asyncio.sleep(0)

    @router.message(F.text == "bad")
    async def breaks(event: Message) -> None:
        await until_both_run(event)
        await asyncio.sleep(0)
        raise OutOfPaperError

    results = await asyncio.gather(
        dispatcher.feed_raw_update(bot, message(1, "good")),
        dispatcher.feed_raw_update(bot, message(2, "bad")),
        return_exceptions=True,
    )

    assert isinstance(results[1], OutOfPaperError)
    updates = {
        (span.attributes or {})["messaging.message.id"]: span for span in spans.all if span.parent is None
    }
    outcomes = {key: (span.attributes or {})["telegram.update.outcome"] for key, span in updates.items()}
    assert outcomes == {"1": "handled", "2": "error"}
    assert parent_id(spans.one("handle works")) == span_id(updates["1"])
    assert parent_id(spans.one("handle breaks")) == span_id(updates["2"])
    assert parent_id(spans.one("sendMessage")) == span_id(spans.one("handle works"))


async def test_an_update_fed_from_a_handler_keeps_to_itself(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message(F.text == "outer")
    async def feeds(event: Message, dispatcher: Dispatcher, bot: Bot) -> None:
        with pytest.raises(OutOfPaperError):
            await dispatcher.feed_raw_update(bot, message(2, "inner"))

    @router.message(F.text == "inner")
    async def breaks(event: Message) -> None:
        raise OutOfPaperError

    await dispatcher.feed_raw_update(bot, message(1, "outer"), dispatcher=dispatcher)

    inner, outer = (span for span in spans.all if span.name == "process message")
    assert parent_id(inner) == span_id(spans.one("handle feeds"))
    scope = here("test_an_update_fed_from_a_handler_keeps_to_itself.<locals>.")
    assert [
        (attributes["telegram.update.outcome"], attributes["telegram.handler"])
        for attributes in (inner.attributes or {}, outer.attributes or {})
    ] == [("error", f"{scope}breaks"), ("handled", f"{scope}feeds")]
