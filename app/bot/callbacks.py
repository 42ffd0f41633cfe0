"""The actions behind the inline buttons, and how they are written in callback data.

The data is `action` or `action:argument`, at most 64 bytes. Anything else is foreign, and answered as such.
"""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What a button does. The values are stable: old messages keep their buttons for years."""

    MENU = "menu"
    HELP = "help"
    DEBUG_LIST = "debug"
    DEBUG_TRACE = "trace"


def encode(action: Action, argument: str = "") -> str:
    """The callback data of a button."""
    return f"{action}:{argument}" if argument else action.value


def decode(data: str | None) -> tuple[Action, str] | None:
    """The action and its argument, or None when the data is not ours."""
    name, _, argument = (data or "").partition(":")
    try:
        return Action(name), argument
    except ValueError:
        return None
