"""The UI registry: every screen, every button, and which may stand on which.

The values are written into callback data and telemetry, and stay as they are: old messages keep their buttons for
years. Callback data is `screen.button` or `screen.button:argument`, at most 64 bytes. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.errors import Reason


class ScreenId(StrEnum):
    """What a person sees."""

    MAIN_MENU = "mm"
    HELP = "hp"
    NOTICE = "nt"
    PROCESSING = "pr"
    RESULT = "rs"
    FAILURE = "fl"
    DEBUG = "db"
    DEBUG_TRACE = "dt"


class ButtonId(StrEnum):
    """What a person can press."""

    OPEN_MENU = "menu"
    OPEN_HELP = "help"
    SHOW_TRACES = "list"
    SHOW_TRACE = "trace"
    SHOW_LAST = "last"
    SHOW_ERRORS = "errors"
    SHOW_SLOW = "slow"
    DEBUG_LOGS = "logs"
    SHOW_PAGE = "page"
    SHOW_PICTURE = "pic"


#: What may be pressed where. A screen that is not here has no buttons.
STANDS_ON: dict[ScreenId, frozenset[ButtonId]] = {
    ScreenId.MAIN_MENU: frozenset({ButtonId.OPEN_HELP}),
    ScreenId.HELP: frozenset({ButtonId.OPEN_MENU}),
    ScreenId.DEBUG: frozenset(
        {
            ButtonId.SHOW_TRACES,
            ButtonId.SHOW_TRACE,
            ButtonId.SHOW_LAST,
            ButtonId.SHOW_ERRORS,
            ButtonId.SHOW_SLOW,
            ButtonId.DEBUG_LOGS,
        }
    ),
    ScreenId.DEBUG_TRACE: frozenset(
        {ButtonId.SHOW_TRACES, ButtonId.SHOW_TRACE, ButtonId.SHOW_PAGE, ButtonId.SHOW_PICTURE}
    ),
}


@dataclass(frozen=True, slots=True)
class Press:
    """A press of a button that exists, on a screen where it may stand."""

    screen: ScreenId
    button: ButtonId
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Impossible:
    """A press that leads to nothing, and why. `text` names screens and buttons only."""

    reason: Reason
    text: str


def encode(press: Press) -> str:
    """The callback data of a button."""
    data = f"{press.screen.value}.{press.button.value}"
    return f"{data}:{press.argument}" if press.argument else data


def judge(data: str | None, standing: Sequence[str]) -> Press | Impossible:
    """What a press means. `standing` is the callback data of the buttons that the message has now."""
    name, _, argument = (data or "").partition(":")
    screen_value, dot, button_value = name.partition(".")
    if not dot or screen_value not in _SCREENS:
        return Impossible(Reason.UNKNOWN_CALLBACK, "the data is not of this bot")
    screen = ScreenId(screen_value)
    if button_value not in _BUTTONS:
        return Impossible(Reason.UNKNOWN_ACTION, f"{screen.name} has a button that does not exist")
    button = ButtonId(button_value)
    if button not in STANDS_ON.get(screen, ()):
        return Impossible(Reason.STATE_MISMATCH, f"{button.name} cannot stand on {screen.name}")
    if data not in standing:
        return Impossible(Reason.STATE_MISMATCH, f"expected {screen.name}, got {_shown(standing)}")
    return Press(screen, button, argument)


def _shown(standing: Sequence[str]) -> str:
    """The screen that the message shows now, as far as its buttons tell."""
    value = standing[0].partition(".")[0] if standing else ""
    if value not in _SCREENS:
        return "no buttons" if not standing else "another"
    screen = ScreenId(value)
    return f"{screen.name} without this button"


_SCREENS = frozenset(ScreenId)
_BUTTONS = frozenset(ButtonId)
