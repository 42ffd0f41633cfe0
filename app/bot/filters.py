"""The bot's filters. Each is a class with an async call: a synchronous one would hop to a thread for every update."""

from __future__ import annotations

from typing import Any

from aiogram.enums import ChatType
from aiogram.filters import Filter
from aiogram.types import CallbackQuery, Message, User

from app.bot.registry import ButtonId, Press
from app.jobs.engines.links import find_link
from app.telemetry.catalogue import ADMIN_DENIED
from app.telemetry.instruments import count


class HasLink(Filter):
    """A message with a link in its text or caption; the handler gets the first one as `link`."""

    async def __call__(self, message: Message) -> bool | dict[str, Any]:
        """Look for the link, also behind a word."""
        hidden = (e.url for e in message.entities or message.caption_entities or () if e.type == "text_link")
        link = find_link(message.text or message.caption or "") or next(hidden, None)
        return {"link": link} if link else False


class Pressed(Filter):
    """A press of one of these buttons; the handler gets it as `press`."""

    def __init__(self, *buttons: ButtonId) -> None:
        self._buttons = frozenset(buttons)

    async def __call__(self, query: CallbackQuery, press: Press) -> bool:
        """Compare."""
        return press.button in self._buttons


class IsAdmin(Filter):
    """An admin in the private chat with the bot. In a group others would read the answer.

    It stands last among the filters of a handler: whoever comes so far and is turned away is counted.
    """

    def __init__(self, admin_ids: frozenset[int]) -> None:
        self._admin_ids = admin_ids

    async def __call__(self, event: Message | CallbackQuery, event_from_user: User | None = None) -> bool:
        """Compare the sender with the list."""
        message = event if isinstance(event, Message) else event.message
        admitted = (
            event_from_user is not None
            and event_from_user.id in self._admin_ids
            and message is not None
            and message.chat.type == ChatType.PRIVATE
        )
        if not admitted:
            count(ADMIN_DENIED, via="command" if isinstance(event, Message) else "button")
        return admitted


class InPrivate(Filter):
    """A message in the private chat with the bot. In a group, people talk to one another."""

    async def __call__(self, message: Message) -> bool:
        """Look at the chat."""
        return message.chat.type == ChatType.PRIVATE
