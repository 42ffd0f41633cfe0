"""The scrubber: what looks like a secret never survives, ordinary text does, and the work is linear."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.telemetry.redaction import MASK, PATTERNS, Scrubber
from tests.kit.regex_steps import Steps

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
        (TOKEN.replace(":", "%3A"), MASK),
        (TOKEN.replace(":", "%253a"), MASK),
        (TOKEN.replace(":", r"\u003A"), MASK),
        ("123456:AA%2D%5Fabcdefghijklmnopqrstuvwxyz01", MASK),
        (r"https:\/\/host\/bot1:short\/getMe", rf"https:\/\/host\/bot{MASK}\/getMe"),
        ("https%3A%2F%2Fhost%2Fbot1%3Ashort%2FgetMe", f"https%3A%2F%2Fhost%2Fbot{MASK}%2FgetMe"),
        ("postgresql://user:password@host/name", f"postgresql://{MASK}host/name"),
        ("postgresql://user:pa@ss@host/name", f"postgresql://{MASK}host/name"),
        (r"redis:\/\/user:pass@host", rf"redis:\/\/{MASK}host"),
        ("to=redis%3A%2F%2Fuser%3Apass%40host%2F0", f"to=redis%3A%2F%2F{MASK}host%2F0"),
        ("https://user@host/", f"https://{MASK}host/"),
        ("Authorization: Bearer abcdefgh.ijkl", f"Authorization: Bearer {MASK}"),
        ("authorization: bearer YWJjZGVmZ2g==", f"authorization: bearer {MASK}"),
        ("headers=authorization=Bearer%20abcdefgh", f"headers=authorization=Bearer%20{MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
        ("X-Api-Key: abc", f"X-Api-Key: {MASK}"),
        ("X-Telegram-Bot-Api-Secret-Token: a-b", f"X-Telegram-Bot-Api-Secret-Token: {MASK}"),
        ("?a=1&token=abc&b=2", f"?a=1&token={MASK}&b=2"),
        ("api_key=abc, next", f"api_key={MASK}, next"),
        ("DB_PASSWORD='two words' next", f"DB_PASSWORD={MASK} next"),
        ('secret="a \\" quote" next', f"secret={MASK} next"),
        ("q=client_secret%3Dabc", f"q=client_secret%3D{MASK}"),
        ('{"password": "a b", "x": 1}', f'{{"password": {MASK}, "x": 1}}'),
        (r"{\"hash_key\": \"a b\"}", rf"{{\"hash_key\": \"{MASK}\"}}"),
        ("sk-proj-abcdefgh12345678", MASK),
        ("(ghp_abcdefgh12345678)", f"({MASK})"),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", MASK),
        (f"{TOKEN} and {TOKEN}", f"{MASK} and {MASK}"),
    ],
)
def test_a_secret_is_masked(text: str, scrubbed: str) -> None:
    assert SCRUBBER.text(text) == scrubbed
    assert SCRUBBER.text(scrubbed) == scrubbed, "what is masked stays as it is"


ORDINARY = [
    "",
    "SELECT jobs.id FROM jobs WHERE jobs.id = ? AND token = $1",
    "2026-11-22T23:59:59.123Z",
    "127.0.0.1:8080",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "https://example.org/watch?v=1#t=10",
    "mail@example.org",
    "12345:abc",
    "bearer of bad news",
    "BOT_TOKEN: Telegram does not know this token. Ask @BotFather for the current one.",
    "wrong or missing secret token",
    "max_tokens=100",
    "app.bot.handlers.fallback.not_understood",
    "task-abcdefghijklmnopqrst",
    "risk-free-and-some-longer-words",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert SCRUBBER.text(text) == text


words = st.text(string.ascii_letters + string.digits + "äßжи", min_size=1, max_size=15)


@given(st.lists(st.one_of(words, st.sampled_from(ORDINARY)), max_size=12).map(" ".join))
def test_text_without_secrets_stays(text: str) -> None:
    assert SCRUBBER.text(text) == text


def test_known_secrets_are_masked_wherever_they_are() -> None:
    scrubber = Scrubber(["pass.word", "pass.word-2", "", "short"])
    assert scrubber.text("xpass.wordy pass.word-2 passXword short") == f"x{MASK}y {MASK} passXword short"


def test_a_known_secret_is_masked_as_it_is_written_in_a_url_and_in_json() -> None:
    secret = 'p@ss/"wörd"'
    scrubber = Scrubber([secret])
    for written in (secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]):
        assert scrubber.text(f"a{written}z") == f"a{MASK}z"


class Surprise:
    """What nobody expects among attributes."""

    def __str__(self) -> str:
        return f"it holds {TOKEN}"


def test_attributes_are_scrubbed_at_every_depth() -> None:
    attributes = {
        "text": TOKEN,
        "list": [TOKEN, 1, "plain"],
        "tuple": ("plain", TOKEN),
        "map": {"inner": [{"deep": TOKEN}], TOKEN: 1},
        "number": 1.5,
        "yes": True,
        "nothing": None,
        "bytes": TOKEN.encode(),
        "error": ValueError(TOKEN),
        "object": Surprise(),
    }
    assert SCRUBBER.attributes(attributes) == {
        "text": MASK,
        "list": [MASK, 1, "plain"],
        "tuple": ("plain", MASK),
        "map": {"inner": [{"deep": MASK}], MASK: 1},
        "number": 1.5,
        "yes": True,
        "nothing": None,
        "bytes": MASK,
        "error": MASK,
        "object": f"it holds {MASK}",
    }
    assert attributes["text"] == TOKEN, "the attributes themselves must stay as they are"


# ------------------------------------------------------------------------------------------------ planted secrets

TOKEN_CHARS = string.ascii_letters + string.digits + "_-"
tokens = st.builds(
    "{}:{}".format,
    st.integers(10**5, 10**11),
    st.text(TOKEN_CHARS, min_size=30, max_size=40),
)


@given(before=st.text(), token=tokens, after=st.text(), digits=st.text(string.digits, max_size=20))
def test_no_token_survives_in_any_text(before: str, token: str, after: str, digits: str) -> None:
    secret = token.split(":")[1]
    assume(secret not in before and secret not in after)
    for text in (
        f"{before}{token}{after}",
        f"{before}{digits}{token}{after}",
        f"{before}/bot{token}/{after}",
        f"{before}{quote(token)}{after}",
        f"{before}{quote(quote(token))}{after}",
        f"{before}{quote(f'https://api.telegram.org/bot{token}/getMe', safe='')}{after}",
        f"{before}{json.dumps({'url': f'/bot{token}/'})}{after}",
    ):
        assert secret not in SCRUBBER.text(text)


values = st.text(string.ascii_letters + string.digits + "._-", min_size=17, max_size=40)
FORMS = [
    "postgresql+asyncpg://bot:{}@db:5432/bot",
    "DATABASE_URL=postgres://bot:{}@db/bot",
    "https://{}@example.org/",
    "Authorization: Bearer {}",
    "authorization=bearer {}",
    "?password={}",
    "&api_key={}&page=2",
    "https://example.org/?access_token={}#top",
    "token={}",
    "CLIENT_SECRET={}",
    "x-api-key: {}",
    'password="{} and more"',
    "{{'secret': '{}'}}",
    '{{"hash_key":"{}"}}',
    r"{{\"token\": \"{}\"}}",
    "q=secret_key%3D{}",
    " sk-{}",
    " ghp_{}",
    " eyJ{}",
]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30)
@given(before=st.text(), value=values, after=st.text())
def test_no_credential_survives_in_any_text(form: str, before: str, value: str, after: str) -> None:
    assume(value not in before + after)
    assert value not in SCRUBBER.text(before + form.format(value) + after)


@given(st.text(), st.text(min_size=6), st.text())
def test_no_known_secret_survives_in_any_text(before: str, secret: str, after: str) -> None:
    scrubbed = Scrubber([secret]).text(before + secret + after)
    assert secret not in scrubbed.replace(MASK, "\N{NULL}") or "\N{NULL}" in secret


# ------------------------------------------------------------------------------------------------ linear

PIECES = ["1", "123456:", "123456%3A", r"\u003a", "a" * 29, "/bot1", "%2Fbot1", ":", "://", r":\/\/", "%3A%2F%2F",
          "@", "%40", "%", "/", "bearer ", "a.", "basic ", "api-key:", " ", "password=", "token", "=", '"', "'",
          '"secret": "', "\\", "sk-", "eyJ", "é"]  # fmt: skip
pieces = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
@example("".join(FORMS).format(*["Abcdefgh12345678-"] * len(FORMS)) + TOKEN)
def test_the_counted_search_finds_what_the_real_one_does(text: str) -> None:
    for _, pattern in PATTERNS:
        assert Steps(pattern.pattern).spans(text) == [found.span() for found in pattern.finditer(text)]


def _steps(pattern: str, text: str) -> int:
    search = Steps(pattern)
    search.spans(text)
    return search.taken


@settings(max_examples=25)
@given(pieces, pieces)
def test_the_work_is_linear(start: str, unit: str) -> None:
    """Four times the text takes four times the steps, even when it is made to be slow.

    It begins where the text is longer than any look back, which is shorter at the text's start.
    """
    for _, pattern in PATTERNS:
        few, many = (_steps(pattern.pattern, start + unit * times) for times in (40, 160))
        assert many <= 4.5 * few + 200
