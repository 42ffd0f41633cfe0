"""One INTERNAL span per handler, under a name that a person would give it."""

import functools
import gc
from collections.abc import Callable
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, Router
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.filters import Command
from aiogram.fsm.scene import Scene, SceneRegistry, on
from aiogram.handlers import MessageHandler
from aiogram.types import Message
from opentelemetry.trace import SpanKind

from opentelemetry.instrumentation.aiogram.handlers import HandlerDirectory

from .kit import Spans, bot_with, message

pytestmark = pytest.mark.usefixtures("instrumented")


async def plain(event: Message, greeting: str = "") -> None:
    """A function."""


def in_a_thread(event: Message) -> None:
    """A function that aiogram runs in a thread."""


class WithMethod:
    """A handler that is a method."""

    async def method(self, event: Message) -> None:
        """Take the message."""


class Greeter:
    """A handler that is an object."""

    def __call__(self, event: Message) -> None:
        """Take the message."""


class ClassBased(MessageHandler):
    """A handler that is a class of aiogram's."""

    async def handle(self) -> None:
        """Take the message."""


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


nameless = lambda event: None  # noqa: E731


@pytest.mark.parametrize(
    ("callback", "span_name", "function"),
    [
        (plain, "plain", f"{__name__}.plain"),
        (in_a_thread, "in_a_thread", f"{__name__}.in_a_thread"),
        (WithMethod().method, "method", f"{__name__}.WithMethod.method"),
        (Greeter(), "Greeter", f"{__name__}.Greeter"),
        (ClassBased, "ClassBased", f"{__name__}.ClassBased"),
        (nameless, "<lambda>", f"{__name__}.<lambda>"),
        (decorated(plain), "plain", f"{__name__}.plain"),
        (functools.partial(plain, greeting="hi"), "plain", f"{__name__}.plain"),
        (
            functools.partial(functools.partial(WithMethod().method)),
            "method",
            f"{__name__}.WithMethod.method",
        ),
    ],
)
async def test_names(callback: Callable[..., Any], span_name: str, function: str, spans: Spans) -> None:
    dispatcher = Dispatcher(name="root")
    dispatcher.message.register(callback)

    await dispatcher.feed_raw_update(bot_with(), message())

    span = spans.one(f"handle {span_name}")
    assert span.attributes == {"code.function.name": function, "telegram.router": "root"}
    assert span.kind is SpanKind.INTERNAL
    assert (spans.one("process message").attributes or {})["telegram.handler"] == function


class Quiz(Scene, state="quiz"):
    """A scene: aiogram wraps its methods in an object of its own."""

    @on.message()
    async def answer(self, event: Message) -> None:
        """Take the message."""


def test_a_handler_of_a_scene_goes_by_its_method() -> None:
    router = Quiz.as_router(name="quiz")
    (handler,) = router.message.handlers

    names = HandlerDirectory().names_of(handler, router)
    assert (names.function, names.router, names.span_name) == (
        f"{__name__}.Quiz.answer",
        "quiz",
        "handle answer",
    )
    assert names.attributes == {"code.function.name": f"{__name__}.Quiz.answer", "telegram.router": "quiz"}


def test_names_are_worked_out_once_and_go_with_their_handler() -> None:
    directory = HandlerDirectory()
    handler, router = HandlerObject(plain), Router(name="r")

    assert directory.names_of(handler, router) is directory.names_of(handler, router)

    del handler
    gc.collect()
    assert directory._known == {}


async def test_callbacks_of_start_up_are_no_handlers(spans: Spans) -> None:
    dispatcher = Dispatcher()

    @dispatcher.startup()
    async def started(bot: Bot) -> None:
        await bot.get_me()

    await dispatcher.emit_startup(bot=bot_with(True))
    await dispatcher.emit_startup(bot_with(True))

    assert spans.names == ["getMe", "getMe"]


async def test_a_listener_of_the_bots_own_by_that_name_is_a_handler(spans: Spans) -> None:
    class Feed:
        async def _listen_update(self, event: Message) -> None:
            """Take the message."""

    dispatcher = Dispatcher()
    dispatcher.message.register(Feed()._listen_update)
    await dispatcher.feed_raw_update(bot_with(), message())

    assert spans.names == ["handle _listen_update", "process message"]


async def test_a_conversation_in_a_scene(spans: Spans) -> None:
    dispatcher = Dispatcher(name="root")
    talk = Router(name="talk")
    SceneRegistry(talk).add(Quiz)
    talk.message.register(Quiz.as_handler(), Command("quiz"))
    dispatcher.include_router(talk)
    bot = bot_with()
    for number, text in enumerate(("/quiz", "an answer"), 1):
        await dispatcher.feed_raw_update(bot, message(number, text))

    updates = [span.attributes or {} for span in spans.all if span.name == "process message"]
    assert [one["telegram.update.outcome"] for one in updates] == ["handled", "handled"]
    assert updates[0]["telegram.router"] == "talk"
    assert updates[1]["telegram.handler"] == f"{__name__}.Quiz.answer"
    assert spans.names[-2:] == ["handle answer", "process message"]
