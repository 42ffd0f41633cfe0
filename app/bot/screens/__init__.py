"""What people see, as pure functions: data in, text and keyboard out. They render without a bot or a database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Button:
    """An inline button. `data` is what comes back when it is pressed: 1 to 64 bytes."""

    text: str
    data: str


@dataclass(frozen=True, slots=True)
class Screen:
    """A message: Telegram HTML, and rows of buttons."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()
