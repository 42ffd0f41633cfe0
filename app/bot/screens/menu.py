"""The main menu and the help."""

from __future__ import annotations

from app.bot.callbacks import Action, encode
from app.bot.locales import say
from app.bot.screens import Button, Screen


def main_menu(language: str) -> Screen:
    """What /start shows."""
    return Screen(say(language, "start"), ((Button(say(language, "button_help"), encode(Action.HELP)),),))


def help_page(language: str) -> Screen:
    """What /help shows."""
    return Screen(say(language, "help"), ((Button(say(language, "button_menu"), encode(Action.MENU)),),))
