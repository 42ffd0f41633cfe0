"""What people see, as pure functions: data in, text and keyboard out. They render without a bot or a database."""

from __future__ import annotations

from dataclasses import dataclass

from app.bot.registry import ButtonId, ScreenId


@dataclass(frozen=True, slots=True)
class Button:
    """An inline button of the registry. `argument` comes back with the press."""

    text: str
    id: ButtonId
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Screen:
    """A message: the screen that it shows, Telegram HTML, and rows of buttons that may stand on that screen."""

    id: ScreenId
    text: str
    rows: tuple[tuple[Button, ...], ...] = ()
