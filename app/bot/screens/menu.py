"""The main menu, the help, and the one-sentence answers."""

from __future__ import annotations

from app.bot.locales import say
from app.bot.registry import ButtonId, ScreenId
from app.bot.screens import Button, Screen


def main_menu(language: str) -> Screen:
    """What /start shows."""
    button = Button(say(language, "button_help"), ButtonId.OPEN_HELP)
    return Screen(ScreenId.MAIN_MENU, say(language, "start"), ((button,),))


def help_page(language: str) -> Screen:
    """What /help shows."""
    button = Button(say(language, "button_menu"), ButtonId.OPEN_MENU)
    return Screen(ScreenId.HELP, say(language, "help"), ((button,),))


def notice(language: str, text_key: str) -> Screen:
    """A sentence that says what to do instead."""
    return Screen(ScreenId.NOTICE, say(language, text_key))
