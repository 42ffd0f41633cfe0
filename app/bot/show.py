"""Screens as Telegram messages, and answers to presses: the one place where a screen meets aiogram."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MaybeInaccessibleMessageUnion,
    Message,
)

from app.bot.registry import Press, encode
from app.bot.screens import Screen
from app.telemetry import rendered
from app.telemetry.contract import Event
from app.telemetry.events import emit

_log = logging.getLogger(__name__)


def markup(screen: Screen) -> InlineKeyboardMarkup | None:
    """The inline keyboard of a screen, or None when it has no buttons."""
    if not screen.rows:
        return None
    rows = [
        [
            InlineKeyboardButton(text=b.text, callback_data=encode(Press(screen.id, b.id, b.argument)))
            for b in row
        ]
        for row in screen.rows
    ]
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def answer(message: Message, screen: Screen) -> Message:
    """Send the screen into the chat of `message`."""
    sent = await message.answer(screen.text, reply_markup=markup(screen))
    _rendered(screen, sent)
    return sent


async def replace(message: MaybeInaccessibleMessageUnion | None, screen: Screen) -> None:
    """Turn the message of a pressed button into the screen; one too old to edit, or the same already, stays as it is."""
    if isinstance(message, Message):
        try:
            await message.edit_text(screen.text, reply_markup=markup(screen))
        except TelegramBadRequest as error:
            if "message is not modified" not in error.message:
                raise
        _rendered(screen, message)


_answered: ContextVar[bool] = ContextVar("answered", default=False)


@contextmanager
def answered_before(answered: bool) -> Iterator[None]:
    """Whether the press of this block was answered while it waited: Telegram takes one answer only."""
    token = _answered.set(answered)
    try:
        yield
    finally:
        _answered.reset(token)


async def acknowledge(query: CallbackQuery, alert: str | None = None) -> None:
    """Answer a press, in silence or with a window that says something; after a first answer with a message."""
    if _answered.get():
        if alert is not None and query.message is not None:
            await query.message.answer(alert)
        return
    try:
        await query.answer(alert, show_alert=alert is not None)
    except TelegramBadRequest:
        # Telegram takes answers for some seconds only; after a restart the press itself may still be served.
        _log.info("a press was answered too late")
        if alert is not None and query.message is not None:
            await query.message.answer(alert)
        return
    emit(Event.ANSWER_CALLBACK_QUERY, callback_id=query.id, show_alert=alert is not None)


def _rendered(screen: Screen, message: Message) -> None:
    rendered.note(message.chat.id, message.message_id)
    emit(Event.UI_RENDER, screen_id=screen.id.name, buttons_count=sum(map(len, screen.rows)))
