"""The UI registry: data within Telegram's 64 bytes, read back as written; every impossible press has its reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.registry import STANDS_ON, ButtonId, Impossible, Press, ScreenId, encode, judge
from app.errors import Reason
from tests.kit.telegram_limits import CALLBACK_DATA_BYTES

CID = "4bf92f3577b34da6a3ce929d0e0e4736"
POSSIBLE = [(screen, button) for screen, buttons in STANDS_ON.items() for button in sorted(buttons)]


@pytest.mark.parametrize(("screen", "button"), POSSIBLE)
@pytest.mark.parametrize("argument", ["", CID])
def test_a_possible_press_is_read_back(screen: ScreenId, button: ButtonId, argument: str) -> None:
    press = Press(screen, button, argument)
    data = encode(press)
    assert 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES
    assert judge(data, ["another", data]) == press


def test_what_is_written_stays_as_it_was() -> None:
    """Old messages keep their buttons for years: a value may be added, never changed."""
    assert {screen.name: screen.value for screen in ScreenId} == {
        "MAIN_MENU": "mm",
        "HELP": "hp",
        "NOTICE": "nt",
        "PROCESSING": "pr",
        "RESULT": "rs",
        "FAILURE": "fl",
        "DEBUG": "db",
        "DEBUG_TRACE": "dt",
    }
    assert {button.name: button.value for button in ButtonId} == {
        "OPEN_MENU": "menu",
        "OPEN_HELP": "help",
        "SHOW_TRACES": "list",
        "SHOW_TRACE": "trace",
        "SHOW_LAST": "last",
        "SHOW_ERRORS": "errors",
        "SHOW_SLOW": "slow",
        "DEBUG_LOGS": "logs",
        "SHOW_PAGE": "page",
        "SHOW_PICTURE": "pic",
    }


@pytest.mark.parametrize(
    ("data", "standing", "reason", "text"),
    [
        (None, [], Reason.UNKNOWN_CALLBACK, "the data is not of this bot"),
        ("", [], Reason.UNKNOWN_CALLBACK, "the data is not of this bot"),
        ("buy:42", ["buy:42"], Reason.UNKNOWN_CALLBACK, "the data is not of this bot"),
        ("xx.help", ["xx.help"], Reason.UNKNOWN_CALLBACK, "the data is not of this bot"),
        ("mm.fly", ["mm.fly"], Reason.UNKNOWN_ACTION, "MAIN_MENU has a button that does not exist"),
        ("mm.menu", ["mm.menu"], Reason.STATE_MISMATCH, "OPEN_MENU cannot stand on MAIN_MENU"),
        ("rs.help", ["rs.help"], Reason.STATE_MISMATCH, "OPEN_HELP cannot stand on RESULT"),
        ("mm.help", ["hp.menu"], Reason.STATE_MISMATCH, "expected MAIN_MENU, got HELP without this button"),
        ("mm.help", [], Reason.STATE_MISMATCH, "expected MAIN_MENU, got no buttons"),
        ("mm.help", ["old"], Reason.STATE_MISMATCH, "expected MAIN_MENU, got another"),
        (
            "mm.help:x",
            ["mm.help"],
            Reason.STATE_MISMATCH,
            "expected MAIN_MENU, got MAIN_MENU without this button",
        ),
    ],
)
def test_an_impossible_press_has_its_reason(
    data: str | None, standing: list[str], reason: Reason, text: str
) -> None:
    assert judge(data, standing) == Impossible(reason, text)


@given(st.text(), st.lists(st.text()))
def test_no_data_breaks_the_judgement_or_comes_back_in_its_text(data: str, standing: list[str]) -> None:
    verdict = judge(data, standing)
    if isinstance(verdict, Impossible):
        assert len(data) < 4 or data not in verdict.text
