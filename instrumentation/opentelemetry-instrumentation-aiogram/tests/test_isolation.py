"""The time in which an update waits for its turn is on its span."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiogram import Bot, Dispatcher
from aiogram.fsm.context import FSMContext
from aiogram.fsm.storage.base import BaseEventIsolation, StorageKey
from aiogram.fsm.storage.memory import SimpleEventIsolation
from aiogram.types import Message

from .kit import OutOfPaperError, Spans, message

pytestmark = pytest.mark.usefixtures("instrumented")

WAIT = "telegram.event_isolation.wait"


def waits(spans: Spans) -> dict[str, float]:
    """The waiting times by update."""
    updates = [span.attributes or {} for span in spans.all if span.name == "process message"]
    return {str(one["messaging.message.id"]): float(str(one[WAIT])) for one in updates}


async def test_the_second_update_of_a_user_waits_for_the_first(bot: Bot, spans: Spans) -> None:
    dispatcher = Dispatcher(events_isolation=SimpleEventIsolation())

    @dispatcher.message()
    async def slow(event: Message, state: FSMContext, raw_state: Any) -> None:
        assert (await state.get_state(), raw_state) == (None, None)
        await asyncio.sleep(0.2)

    await asyncio.gather(
        dispatcher.feed_raw_update(bot, message(1)), dispatcher.feed_raw_update(bot, message(2))
    )

    found = waits(spans)
    assert found["1"] < 0.1
    assert 0.1 < found["2"] < 5


async def test_without_isolation_there_is_nothing_to_tell(bot: Bot, spans: Spans) -> None:
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def quick(event: Message) -> None:
        """Take it."""

    await dispatcher.feed_raw_update(bot, message())

    assert WAIT not in (spans.one("process message").attributes or {})


async def test_a_wait_that_is_given_up_is_told(bot: Bot, spans: Spans) -> None:
    isolation = SimpleEventIsolation()
    dispatcher = Dispatcher(events_isolation=isolation)
    key = dispatcher.fsm.get_context(bot=bot, chat_id=7700770077, user_id=7700770077).key

    async with isolation.lock(key=key):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(dispatcher.feed_raw_update(bot, message()), 0.2)

    assert waits(spans)["1"] > 0.1
    assert (spans.one("process message").attributes or {})[
        "error.type"
    ] == "asyncio.exceptions.CancelledError"


class OwnIsolation(BaseEventIsolation):
    """An isolation of the bot's own."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @asynccontextmanager
    async def lock(self, key: StorageKey) -> AsyncIterator[None]:
        """Note how it ends."""
        try:
            yield None
        except BaseException as error:
            self.seen.append(error)
            raise

    async def close(self) -> None:
        """Nothing is open."""


async def test_the_lock_sees_the_errors_that_it_would_have_seen(bot: Bot) -> None:
    isolation, error = OwnIsolation(), OutOfPaperError()
    dispatcher = Dispatcher(events_isolation=isolation)

    @dispatcher.message()
    async def breaks(event: Message) -> None:
        raise error

    with pytest.raises(OutOfPaperError) as raised:
        await dispatcher.feed_raw_update(bot, message())

    assert raised.value is error
    assert isolation.seen == [error]
    assert dispatcher.fsm.events_isolation is isolation
