"""The scrubber: what looks like a secret never survives, ordinary text does, and the work is linear."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.telemetry.redaction import MASK, Scrubber

SECRET_PART = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
TOKEN = f"123456789:{SECRET_PART}"
SCRUBBER = Scrubber()


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (TOKEN, MASK),
        (f"a {TOKEN} b", f"a {MASK} b"),
        (f"https://api.telegram.org/bot{TOKEN}/getMe", f"https://api.telegram.org/bot{MASK}/getMe"),
        ("https://host/bot1:short/getMe", f"https://host/bot{MASK}/getMe"),
        (f"/file/bot{TOKEN}/music/file_0.mp3", f"/file/bot{MASK}/music/file_0.mp3"),
        (f"000{TOKEN}", MASK),
        (f"12345678901234567890:{SECRET_PART}", MASK),
        ("postgresql://user:password@host/name", f"postgresql://{MASK}host/name"),
        ("https://user@host/", f"https://{MASK}host/"),
        ("Authorization: Bearer abcdefgh.ijkl", f"Authorization: Bearer {MASK}"),
        ("authorization: bearer YWJjZGVmZ2g==", f"authorization: bearer {MASK}"),
        (f"{TOKEN} and {TOKEN}", f"{MASK} and {MASK}"),
    ],
)
def test_a_secret_is_masked(text: str, scrubbed: str) -> None:
    assert SCRUBBER.text(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT jobs.id FROM jobs WHERE jobs.id = ?",
        "2026-11-22T23:59:59.123Z",
        "127.0.0.1:8080",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "https://example.org/watch?v=1#t=10",
        "mail@example.org",
        "12345:abc",
        "bearer of bad news",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert SCRUBBER.text(text) == text


def test_known_secrets_are_masked_wherever_they_are() -> None:
    scrubber = Scrubber(["pass.word", "pass.word-2", "", "short"])
    assert scrubber.text("xpass.wordy pass.word-2 passXword short") == f"x{MASK}y {MASK} passXword short"


def test_attributes_are_scrubbed_at_every_depth() -> None:
    attributes = {
        "text": TOKEN,
        "list": [TOKEN, 1, "plain"],
        "tuple": ("plain", TOKEN),
        "map": {"inner": [{"deep": TOKEN}]},
        "number": 1.5,
        "yes": True,
        "nothing": None,
    }
    assert SCRUBBER.attributes(attributes) == {
        "text": MASK,
        "list": [MASK, 1, "plain"],
        "tuple": ("plain", MASK),
        "map": {"inner": [{"deep": MASK}]},
        "number": 1.5,
        "yes": True,
        "nothing": None,
    }
    assert attributes["text"] == TOKEN, "the attributes themselves must stay as they are"


tokens = st.builds(
    "{}:{}".format,
    st.integers(10**5, 10**11),
    st.text(string.ascii_letters + string.digits + "_-", min_size=30, max_size=40),
)


@given(before=st.text(), token=tokens, after=st.text(), digits=st.text(string.digits, max_size=20))
def test_no_token_survives_in_any_text(before: str, token: str, after: str, digits: str) -> None:
    secret = token.split(":")[1]
    assume(secret not in before and secret not in after)
    for text in (
        f"{before}{token}{after}",
        f"{before}{digits}{token}{after}",
        f"{before}/bot{token}/{after}",
    ):
        assert secret not in SCRUBBER.text(text)


@given(st.text(), st.text(min_size=6), st.text())
def test_no_known_secret_survives_in_any_text(before: str, secret: str, after: str) -> None:
    scrubbed = Scrubber([secret]).text(before + secret + after)
    assert secret not in scrubbed.replace(MASK, "\N{NULL}") or "\N{NULL}" in secret


@pytest.mark.parametrize(
    "unit",
    ["1", "123456:", "123456:" + "a" * 29 + " ", "/bot1", "/bot1:", "://a", "://" + "a" * 256, "bearer ", "bearer a."],
    ids=repr,
)  # fmt: skip
def test_the_work_is_linear(unit: str) -> None:
    """A megabyte that is made to be slow ends soon; nested repetition would take hours."""
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    SCRUBBER.text(text)
    assert time.process_time() - started < 2
