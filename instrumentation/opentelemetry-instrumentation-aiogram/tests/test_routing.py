"""Why nobody took an update: every router, handler and filter by name, in order, and never asked twice."""

import functools
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F, Router
from aiogram.dispatcher.event.bases import REJECTED, UNHANDLED, CancelHandler, SkipHandler
from aiogram.filters import Command, StateFilter, and_f, invert_f, or_f
from aiogram.fsm.scene import Scene, SceneRegistry, on
from aiogram.types import Message, Update
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor, Routing, Tried

from .kit import SECRETS, OutOfPaperError, Spans, callback_query, do_nothing, message, qualified

NOTHING = qualified(do_nothing)


@pytest.fixture
def told(tracer_provider: TracerProvider) -> Any:
    """What the hook was told, of each update."""
    told: list[tuple[str, int, Routing]] = []

    def hook(span: Span, update: Update, routing: Routing) -> None:
        told.append((span.name, update.update_id, routing))  # type: ignore[attr-defined]

    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, unhandled_hook=hook)
    yield told
    AiogramInstrumentor().uninstrument()


async def never(event: Any) -> bool:
    """A filter."""
    return False


async def always(event: Any) -> bool:
    """Another one."""
    return True


def refused(router: str, by: str, handler: str | None = NOTHING, kind: str = "filter") -> Tried:
    """One step."""
    return Tried(router, handler, kind, by)


async def test_the_way_through_nested_routers(
    dispatcher: Dispatcher, bot: Bot, told: Any, spans: Spans
) -> None:
    first, second, inner = Router(name="first"), Router(name="second"), Router(name="inner")
    first.message.register(do_nothing, Command("secret_command"))
    first.message.register(do_nothing, always, F.from_user.id == 7, never)
    second.message.filter(always)
    second.include_router(inner)
    inner.message.register(do_nothing, StateFilter("some:state"))
    dispatcher.include_routers(first, second)

    assert await dispatcher.feed_raw_update(bot, message(update_id=12)) is UNHANDLED

    steps = (
        refused("first", "Command"),
        refused("first", "F.from_user.id"),
        refused("inner", "StateFilter"),
    )
    assert told == [("process message", 12, Routing("message", "filters", steps, 0))]
    attributes = spans.one("process message").attributes or {}
    assert attributes["telegram.routing.reason"] == "filters"
    assert attributes["telegram.routing.tried"] == (
        f"first: {NOTHING}: filter Command",
        f"first: {NOTHING}: filter F.from_user.id",
        f"inner: {NOTHING}: filter StateFilter",
    )


async def test_no_filter_is_asked_twice(router: Router, dispatcher: Dispatcher, bot: Bot, told: Any) -> None:
    asked: list[int] = []

    async def counts(event: Message) -> bool:
        asked.append(event.message_id)
        return False

    router.message.register(do_nothing, counts)
    await dispatcher.feed_raw_update(bot, message())

    assert asked == [5]
    assert [step.by for _, _, routing in told for step in routing.tried] == [
        "test_no_filter_is_asked_twice.<locals>.counts"
    ]


async def test_a_handled_update_is_not_explained(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any, spans: Spans
) -> None:
    router.message.register(do_nothing, never)
    router.message.register(do_nothing)
    await dispatcher.feed_raw_update(bot, message())

    assert told == []
    assert not [name for name in spans.one("process message").attributes or {} if "routing" in name]


async def test_nobody_wants_this_type(router: Router, dispatcher: Dispatcher, bot: Bot, told: Any) -> None:
    router.message.register(do_nothing)
    await dispatcher.feed_raw_update(bot, callback_query(update_id=3))

    assert told == [("process callback_query", 3, Routing("callback_query", "no_handlers", (), 0))]


async def test_a_filter_of_a_whole_router(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any
) -> None:
    child = Router(name="child")
    child.message.register(do_nothing)
    router.message.filter(always, never)
    router.message.register(do_nothing)
    router.include_router(child)
    await dispatcher.feed_raw_update(bot, message())

    assert [routing for _, _, routing in told] == [
        Routing("message", "filters", (refused("talk", "never", None),), 0)
    ]


class Throttle:
    """A middleware that stops everything."""

    async def __call__(self, handler: Any, event: Any, data: Any) -> Any:
        """Say that it was not handled."""
        return UNHANDLED


@pytest.mark.parametrize("how", ["outer", "inner", "door", "door inner"])
async def test_a_middleware(how: str, router: Router, dispatcher: Dispatcher, bot: Bot, told: Any) -> None:
    router.message.register(do_nothing, always)
    router.message.register(do_nothing, never)
    manager = {
        "outer": router.message.outer_middleware,
        "inner": router.message.middleware,
        "door": dispatcher.update.outer_middleware,
        "door inner": dispatcher.update.middleware,
    }[how]
    manager.register(Throttle())
    await dispatcher.feed_raw_update(bot, message())

    step = {
        "outer": refused("talk", "Throttle", None, "middleware"),
        "inner": refused("talk", "Throttle", NOTHING, "middleware"),
        "door": refused("root", "Throttle", None, "middleware"),
        "door inner": refused("root", "Throttle", None, "middleware"),
    }[how]
    assert [routing for _, _, routing in told] == [Routing("message", "middleware", (step,), 0)]


async def test_a_middleware_that_skips_lets_the_next_handler_be_asked(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any
) -> None:
    async def skips(handler: Any, event: Any, data: Any) -> Any:
        raise SkipHandler

    router.message.middleware(skips)
    router.message.register(do_nothing, always)
    router.message.register(do_nothing, never)
    await dispatcher.feed_raw_update(bot, message())

    name = "test_a_middleware_that_skips_lets_the_next_handler_be_asked.<locals>.skips"
    steps = (refused("talk", name, NOTHING, "middleware"), refused("talk", "never"))
    assert [routing for _, _, routing in told] == [Routing("message", "middleware", steps, 0)]


@pytest.mark.parametrize("answer", [SkipHandler, UNHANDLED, REJECTED])
async def test_a_handler_that_declines(
    answer: Any, router: Router, dispatcher: Dispatcher, bot: Bot, told: Any
) -> None:
    async def declines(event: Message) -> Any:
        if answer is SkipHandler:
            raise SkipHandler
        return answer

    router.message.register(declines, always)
    router.message.register(do_nothing, never)
    await dispatcher.feed_raw_update(bot, message())

    name = f"{__name__}.test_a_handler_that_declines.<locals>.declines"
    steps = [refused("talk", "", name, "handler")]
    # What it returns ends the turn of its router; what it raises does not.
    steps += [refused("talk", "never")] if answer is SkipHandler else []
    assert [routing for _, _, routing in told] == [Routing("message", "declined", tuple(steps), 0)]


async def test_errors_and_cancelled_updates_are_not_explained(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any
) -> None:
    async def breaks(event: Message) -> bool:
        raise OutOfPaperError

    async def cancels(event: Any) -> None:
        raise CancelHandler

    router.message.register(do_nothing, breaks)
    router.callback_query.register(cancels)
    with pytest.raises(OutOfPaperError):
        await dispatcher.feed_raw_update(bot, message())
    with pytest.raises(CancelHandler):
        await dispatcher.feed_raw_update(bot, callback_query())

    assert told == []


def named_in_a_partial(limit: int, event: Any) -> bool:
    """A filter with an argument."""
    return False


@pytest.mark.parametrize(
    ("check", "name"),
    [
        (Command("my-secret-text"), "Command"),
        (F.text == "my-secret-text", "F.text"),
        (F.text.lower().in_({"my-secret-text"}), "F.text.lower"),
        (F["my-secret-text"], "F"),
        (~F.text.contains("something"), "F.text"),
        (invert_f(always), "not always"),
        (and_f(always, or_f(never, F.photo)), "(always and (never or F.photo))"),
        (lambda event: False, "<lambda>"),
        (functools.partial(named_in_a_partial, 4242424242), "named_in_a_partial"),
    ],
)
async def test_names_of_filters_hold_no_arguments(
    check: Any, name: str, router: Router, dispatcher: Dispatcher, bot: Bot, told: Any, spans: Spans
) -> None:
    router.message.register(do_nothing, check)
    # A text that none of them wants.
    await dispatcher.feed_raw_update(bot, message(text="something"))

    (step,) = told[0][2].tried
    assert step.by.removeprefix("test_names_of_filters_hold_no_arguments.<locals>.") == name
    assert [secret for secret in SECRETS if secret in spans.as_text()] == []


class Quiz(Scene, state="quiz"):
    """A scene, which nobody has entered."""

    @on.message()
    async def answer(self, event: Message) -> None:
        """Take the message."""


async def test_a_scene_that_is_not_entered(dispatcher: Dispatcher, bot: Bot, told: Any) -> None:
    SceneRegistry(dispatcher).add(Quiz, router=(scenes := Router(name="scenes")))
    dispatcher.include_router(scenes)
    await dispatcher.feed_raw_update(bot, message())

    # aiogram names the router of a scene itself.
    ((_, _, routing),) = told
    assert [(step.handler, step.kind, step.by) for step in routing.tried] == [(None, "filter", "StateFilter")]


async def test_it_is_bounded(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any, spans: Spans
) -> None:
    for _ in range(100):
        router.message.register(do_nothing, never)
    await dispatcher.feed_raw_update(bot, message())

    ((_, _, routing),) = told
    assert (len(routing.tried), routing.omitted) == (64, 36)
    tried: Any = (spans.one("process message").attributes or {})["telegram.routing.tried"]
    assert (len(tried), tried[-1]) == (65, "36 more")


async def test_updates_at_once_keep_their_trails_apart(
    router: Router, dispatcher: Dispatcher, bot: Bot, told: Any
) -> None:
    async def feeds(event: Message, dispatcher: Dispatcher, bot: Bot) -> Any:
        await dispatcher.feed_raw_update(bot, callback_query(update_id=2))
        return UNHANDLED

    router.message.register(feeds)
    router.callback_query.register(do_nothing, never)
    await dispatcher.feed_raw_update(bot, message(update_id=1), dispatcher=dispatcher)

    name = f"{__name__}.test_updates_at_once_keep_their_trails_apart.<locals>.feeds"
    assert [(update_id, routing) for _, update_id, routing in told] == [
        (2, Routing("callback_query", "filters", (refused("talk", "never"),), 0)),
        (1, Routing("message", "declined", (refused("talk", "", name, "handler"),), 0)),
    ]


async def test_it_can_be_switched_off(
    router: Router, dispatcher: Dispatcher, bot: Bot, tracer_provider: TracerProvider, spans: Spans
) -> None:
    AiogramInstrumentor().instrument(tracer_provider=tracer_provider, explain_unhandled=False)
    router.message.register(do_nothing, never)
    await dispatcher.feed_raw_update(bot, message())
    AiogramInstrumentor().uninstrument()

    attributes = spans.one("process message").attributes or {}
    assert attributes["telegram.update.outcome"] == "unhandled"
    assert not [name for name in attributes if "routing" in name]
