"""One CONSUMER span per update: its name, its attributes, its outcome."""

from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F, Router
from aiogram.dispatcher.event.bases import UNHANDLED, CancelHandler, SkipHandler
from aiogram.types import CallbackQuery, Message, Update
from opentelemetry.trace import SpanKind, StatusCode

from .kit import (
    MESSAGE_UPDATE,
    PROCESS,
    SECRET_TEXT,
    Spans,
    callback_query,
    do_nothing,
    message,
    qualified,
)

pytestmark = pytest.mark.usefixtures("instrumented")


def here(function: str) -> str:
    """The name of a function of this module, as telemetry has it."""
    return f"{__name__}.{function}"


async def test_handled_message(dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans) -> None:
    router.message.register(do_nothing)

    await dispatcher.feed_raw_update(bot, message(update_id=321))

    span = spans.one("process message")
    assert span.attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "321",
        "telegram.update.outcome": "handled",
        "telegram.handler": qualified(do_nothing),
        "telegram.router": "talk",
    }
    assert span.kind is SpanKind.CONSUMER
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "opentelemetry.instrumentation.aiogram"
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"


async def test_callback_query_fed_as_an_update(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.callback_query(F.data == SECRET_TEXT)
    async def pressed(query: CallbackQuery) -> None:
        """Take the press."""

    update = Update.model_validate(callback_query(update_id=8), context={"bot": bot})
    await dispatcher.feed_update(bot=bot, update=update)

    assert spans.one("process callback_query").attributes == {
        **PROCESS,
        "messaging.destination.name": "callback_query",
        "messaging.message.id": "8",
        "telegram.update.type": "callback_query",
        "telegram.update.outcome": "handled",
        "telegram.handler": here("test_callback_query_fed_as_an_update.<locals>.pressed"),
        "telegram.router": "talk",
    }


async def test_unhandled_update(dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans) -> None:
    router.message.register(do_nothing, F.text == "something else")

    assert await dispatcher.feed_raw_update(bot, message()) is UNHANDLED

    span = spans.one("process message")
    assert span.attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "unhandled",
        "telegram.routing.reason": "filters",
        "telegram.routing.tried": (f"talk: {qualified(do_nothing)}: filter F.text",),
    }
    assert span.status.status_code is StatusCode.UNSET
    assert spans.names == ["process message"]


async def test_unknown_update_type(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    with pytest.warns(RuntimeWarning, match="unknown update type"):
        await dispatcher.feed_raw_update(bot, {"update_id": 4, "telepathy": {"thought": SECRET_TEXT}})

    assert spans.one("process unknown").attributes == {
        **PROCESS,
        "messaging.destination.name": "unknown",
        "messaging.message.id": "4",
        "telegram.update.type": "unknown",
        "telegram.update.outcome": "unhandled",
        "telegram.routing.reason": "unknown_type",
    }


async def test_a_router_without_a_name_is_unnamed(bot: Bot, spans: Spans) -> None:
    dispatcher = Dispatcher()
    dispatcher.message.register(do_nothing)

    await dispatcher.feed_raw_update(bot, message())

    for name in ("process message", "handle do_nothing"):
        assert (spans.one(name).attributes or {})["telegram.router"] == "unnamed"


async def test_skip_handler_leads_to_the_next(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def not_mine(event: Message) -> None:
        raise SkipHandler(SECRET_TEXT)

    router.message.register(do_nothing)
    await dispatcher.feed_raw_update(bot, message())

    assert spans.names == ["handle not_mine", "handle do_nothing", "process message"]
    assert [span.status.status_code for span in spans.all] == [StatusCode.UNSET] * 3
    assert spans.one("handle not_mine").attributes == {
        "code.function.name": here("test_skip_handler_leads_to_the_next.<locals>.not_mine"),
        "telegram.router": "talk",
    }
    update = spans.one("process message").attributes or {}
    assert (update["telegram.update.outcome"], update["telegram.handler"]) == (
        "handled",
        qualified(do_nothing),
    )


async def test_a_skipped_update_has_no_handler(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def not_mine(event: Message) -> None:
        raise SkipHandler

    await dispatcher.feed_raw_update(bot, message())

    name = here("test_a_skipped_update_has_no_handler.<locals>.not_mine")
    assert spans.one("process message").attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "unhandled",
        "telegram.routing.reason": "declined",
        "telegram.routing.tried": (f"talk: {name}: handler",),
    }


async def test_a_handler_that_returns_unhandled_did_not_handle(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def declines(event: Message) -> Any:
        return UNHANDLED

    await dispatcher.feed_raw_update(bot, message())

    name = here("test_a_handler_that_returns_unhandled_did_not_handle.<locals>.declines")
    assert spans.one("process message").attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "unhandled",
        "telegram.routing.reason": "declined",
        "telegram.routing.tried": (f"talk: {name}: handler",),
    }


async def test_cancel_handler_is_an_outcome(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    @router.message()
    async def stops(event: Message) -> None:
        raise CancelHandler

    with pytest.raises(CancelHandler):
        await dispatcher.feed_raw_update(bot, message())

    span = spans.one("process message")
    assert span.attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "cancelled",
        "telegram.handler": here("test_cancel_handler_is_an_outcome.<locals>.stops"),
        "telegram.router": "talk",
    }
    assert {span.status.status_code for span in spans.all} == {StatusCode.UNSET}


async def test_skip_in_a_middleware_is_unhandled(dispatcher: Dispatcher, bot: Bot, spans: Spans) -> None:
    async def not_ours(handler: Any, event: Any, data: Any) -> None:
        raise SkipHandler

    dispatcher.update.outer_middleware(not_ours)
    with pytest.raises(SkipHandler):
        await dispatcher.feed_raw_update(bot, message())

    span = spans.one("process message")
    assert (span.attributes or {})["telegram.update.outcome"] == "unhandled"
    assert span.status.status_code is StatusCode.UNSET


async def test_a_middleware_that_eats_the_update_leaves_no_handler(
    dispatcher: Dispatcher, router: Router, bot: Bot, spans: Spans
) -> None:
    async def throttled(handler: Any, event: Any, data: Any) -> None:
        """Answer nothing."""

    dispatcher.update.outer_middleware(throttled)
    router.message.register(do_nothing)
    await dispatcher.feed_raw_update(bot, message())

    name = "test_a_middleware_that_eats_the_update_leaves_no_handler.<locals>.throttled"
    assert spans.one("process message").attributes == {
        **MESSAGE_UPDATE,
        "messaging.message.id": "1",
        "telegram.update.outcome": "handled",
        "telegram.routing.reason": "middleware",
        "telegram.routing.tried": (f"root: *: middleware {name}",),
    }
