"""Callback data: within Telegram's 64 bytes, read back as written, and foreign data is no action."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.callbacks import Action, decode, encode
from tests.kit.telegram_limits import CALLBACK_DATA_BYTES

CID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("action", Action)
def test_every_action_fits_with_a_trace_id(action: Action) -> None:
    data = encode(action, CID)
    assert 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES
    assert decode(data) == (action, CID)


@pytest.mark.parametrize("action", Action)
def test_an_action_may_stand_alone(action: Action) -> None:
    assert decode(encode(action)) == (action, "")


def test_what_is_written_stays_as_it_was() -> None:
    """Old messages keep their buttons for years: a value may be added, never changed."""
    assert {action.name: action.value for action in Action} == {
        "MENU": "menu",
        "HELP": "help",
        "DEBUG_LIST": "debug",
        "DEBUG_TRACE": "trace",
    }


@pytest.mark.parametrize("data", [None, "", ":", ":menu", "Menu", "menu ", "menu\n", "trac", "vote:1", "\0"])
def test_foreign_data_is_no_action(data: str | None) -> None:
    assert decode(data) is None


@given(st.text())
def test_any_data_is_read_without_failing(data: str) -> None:
    read = decode(data)
    assert read is None or data in (encode(*read), f"{read[0]}:")


@given(st.sampled_from(Action), st.text())
def test_an_argument_comes_back_whole(action: Action, argument: str) -> None:
    assert decode(encode(action, argument)) == (action, argument)
