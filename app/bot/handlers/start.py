"""/start, /help and the menu."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message, Update

from app.bot import show
from app.bot.filters import Pressed
from app.bot.registry import ButtonId, Press
from app.bot.screens import menu
from app.telemetry.contract import Event
from app.telemetry.events import emit


async def start(message: Message, event_update: Update, language: str) -> None:
    """Greet, and show the menu."""
    emit(Event.COMMAND_START, update_id=event_update.update_id)
    await show.answer(message, menu.main_menu(language))


async def show_help(message: Message, language: str) -> None:
    """Say what the bot can do."""
    await show.answer(message, menu.help_page(language))


async def open_page(query: CallbackQuery, press: Press, language: str) -> None:
    """Turn the message into the page behind the button."""
    await show.acknowledge(query)
    page = menu.help_page if press.button is ButtonId.OPEN_HELP else menu.main_menu
    await show.replace(query.message, page(language))


def router() -> Router:
    """The router of this area."""
    area = Router(name="start")
    area.message.register(start, Command("start"))
    area.message.register(show_help, Command("help"))
    area.callback_query.register(open_page, Pressed(ButtonId.OPEN_MENU, ButtonId.OPEN_HELP))
    return area
