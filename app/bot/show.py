"""Screens as Telegram messages: the one place where a screen meets aiogram."""

from __future__ import annotations

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, MaybeInaccessibleMessageUnion, Message

from app.bot.screens import Screen


def markup(screen: Screen) -> InlineKeyboardMarkup | None:
    """The inline keyboard of a screen, or None when it has no buttons."""
    if not screen.rows:
        return None
    rows = [[InlineKeyboardButton(text=b.text, callback_data=b.data) for b in row] for row in screen.rows]
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def answer(message: Message, screen: Screen) -> Message:
    """Send the screen into the chat of `message`."""
    return await message.answer(screen.text, reply_markup=markup(screen))


async def replace(message: MaybeInaccessibleMessageUnion | None, screen: Screen) -> None:
    """Turn the message of a pressed button into the screen; one too old to edit stays as it is."""
    if isinstance(message, Message):
        await message.edit_text(screen.text, reply_markup=markup(screen))
