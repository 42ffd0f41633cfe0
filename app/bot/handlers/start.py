"""/start, /help and the menu."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message

from app.bot import show
from app.bot.callbacks import Action
from app.bot.filters import Pressed
from app.bot.screens import menu


async def start(message: Message, language: str) -> None:
    """Greet, and show the menu."""
    await show.answer(message, menu.main_menu(language))


async def show_help(message: Message, language: str) -> None:
    """Say what the bot can do."""
    await show.answer(message, menu.help_page(language))


async def open_page(query: CallbackQuery, action: Action, language: str) -> None:
    """Turn the message into the page behind the button."""
    await query.answer()
    page = menu.help_page if action is Action.HELP else menu.main_menu
    await show.replace(query.message, page(language))


def router() -> Router:
    """The router of this area."""
    area = Router(name="start")
    area.message.register(start, Command("start"))
    area.message.register(show_help, Command("help"))
    area.callback_query.register(open_page, Pressed(Action.MENU, Action.HELP))
    return area
