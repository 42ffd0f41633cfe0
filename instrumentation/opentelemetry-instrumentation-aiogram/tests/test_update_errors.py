"""How the span of an update tells that something failed, whoever caught it."""

import asyncio
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import ErrorEvent, Message
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor

from .kit import (
    MESSAGE_UPDATE,
    SECRET_TEXT,
    OutOfPaperError,
    Spans,
    do_nothing,
    failed_without_text,
    message,
    qualified,
)

pytestmark = pytest.mark.usefixtures("instrumented")


def here(function: str) -> str:
    """The name of a function of this module, as telemetry has it."""
    return f"{__name__}.{function}"


async def test_error_of_a_handler(dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans) -> None:
    @router.message()
    async def breaks(event: Message) -> None:
        raise ValueError(SECRET_TEXT)

    with pytest.raises(ValueError, match=SECRET_TEXT):
        await dispatcher.feed_raw_update(bot, message())

    name = here("test_error_of_a_handler.<locals>.breaks")
    assert spans.one("process message").attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "error",
        "telegram.handler": name,
        "telegram.router": "talk",
        "error.type": "ValueError",
    }
    assert spans.one("handle breaks").attributes == {
        "code.function.name": name,
        "telegram.router": "talk",
        "error.type": "ValueError",
    }
    assert all(failed_without_text(span) for span in spans.all)


async def test_an_error_that_an_error_handler_swallows_still_counts(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def breaks(event: Message) -> None:
        raise OutOfPaperError(SECRET_TEXT)

    @dispatcher.error()
    async def apologise(event: ErrorEvent) -> str:
        return "sorry"

    assert await dispatcher.feed_raw_update(bot, message()) == "sorry"

    assert spans.names == ["handle breaks", "handle apologise", "process message"]
    breaking, apology, update = spans.all
    scope = here("test_an_error_that_an_error_handler_swallows_still_counts.<locals>.")
    assert update.attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "error",
        "telegram.handler": f"{scope}breaks",
        "telegram.router": "talk",
        "error.type": qualified(OutOfPaperError),
    }
    assert apology.attributes == {"code.function.name": f"{scope}apologise", "telegram.router": "root"}
    assert apology.status.status_code is StatusCode.UNSET
    assert failed_without_text(update)
    assert failed_without_text(breaking)


async def test_the_first_error_is_the_cause(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def breaks(event: Message) -> None:
        raise OutOfPaperError

    @dispatcher.error()
    async def breaks_too(event: ErrorEvent) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await dispatcher.feed_raw_update(bot, message())

    errors = {span.name: (span.attributes or {})["error.type"] for span in spans.all}
    assert errors == {
        "handle breaks": qualified(OutOfPaperError),
        "handle breaks_too": "RuntimeError",
        "process message": qualified(OutOfPaperError),
    }


async def test_an_error_that_a_middleware_swallows_still_counts(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    async def forgives(handler: Any, event: Any, data: Any) -> Any:
        try:
            return await handler(event, data)
        except OutOfPaperError as error:
            raise SkipHandler from error

    @router.message()
    async def breaks(event: Message) -> None:
        raise OutOfPaperError

    router.message.middleware(forgives)
    router.message.register(do_nothing)
    await dispatcher.feed_raw_update(bot, message())

    assert spans.names == ["handle breaks", "handle do_nothing", "process message"]
    attributes = spans.one("process message").attributes or {}
    assert attributes["telegram.update.outcome"] == "error"
    assert attributes["error.type"] == qualified(OutOfPaperError)
    assert attributes["telegram.handler"] == here(
        "test_an_error_that_a_middleware_swallows_still_counts.<locals>.breaks"
    )


@pytest.mark.parametrize("swallowed", [True, False])
async def test_error_of_a_filter(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans, swallowed: bool
) -> None:
    async def broken_filter(event: Message) -> bool:
        raise OutOfPaperError

    router.message.register(do_nothing, broken_filter)
    if swallowed:
        dispatcher.error.register(do_nothing)
        await dispatcher.feed_raw_update(bot, message())
    else:
        with pytest.raises(OutOfPaperError):
            await dispatcher.feed_raw_update(bot, message())

    span = spans.one("process message")
    assert span.attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "error",
        "error.type": qualified(OutOfPaperError),
    }
    assert failed_without_text(span)


async def test_error_of_a_middleware_after_the_handler(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    async def breaks(handler: Any, event: Any, data: Any) -> None:
        await handler(event, data)
        raise OutOfPaperError

    dispatcher.update.outer_middleware(breaks)
    router.message.register(do_nothing)
    with pytest.raises(OutOfPaperError):
        await dispatcher.feed_raw_update(bot, message())

    assert spans.one("process message").attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "error",
        "telegram.handler": qualified(do_nothing),
        "telegram.router": "talk",
        "error.type": qualified(OutOfPaperError),
    }
    assert spans.one("handle do_nothing").status.status_code is StatusCode.UNSET


async def test_a_cancelled_task_is_an_error(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    started = asyncio.Event()

    @router.message()
    async def waits(event: Message) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(dispatcher.feed_raw_update(bot, message()))
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    for name in ("process message", "handle waits"):
        attributes = spans.one(name).attributes or {}
        assert attributes["error.type"] == "asyncio.exceptions.CancelledError"
        assert failed_without_text(spans.one(name))


class DropHandlers(Sampler):
    """Somebody who finds handler spans too dear."""

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *_: Any, **__: Any
    ) -> SamplingResult:
        """Keep everything else."""
        return SamplingResult(Decision.DROP if name.startswith("handle ") else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        """The name of this sampler."""
        return "DropHandlers"


async def test_the_outcome_does_not_hang_on_sampled_handlers(
    instrumented: AiogramInstrumentor,
    dispatcher: Dispatcher,
    router: Router,
    bot: Bot,
    exporter: Any,
    spans: Spans,
) -> None:
    provider = TracerProvider(sampler=DropHandlers())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumented.uninstrument()
    instrumented.instrument(tracer_provider=provider)

    @router.message()
    async def breaks(event: Message) -> None:
        raise OutOfPaperError

    dispatcher.error.register(do_nothing)
    await dispatcher.feed_raw_update(bot, message())

    assert spans.names == ["process message"]
    attributes = spans.one("process message").attributes or {}
    assert attributes["telegram.update.outcome"] == "error"
    assert attributes["error.type"] == qualified(OutOfPaperError)
