"""The texts: both languages say the same things, and Telegram takes every one of them."""

from __future__ import annotations

import re
import string
from typing import get_args

import pytest

from app.bot.locales import LANGUAGES
from app.errors import JobError
from app.jobs.ports import Stage
from tests.kit.repository import PRODUCT, modules
from tests.kit.telegram_limits import ALERT_LIMIT, check_html, check_message

#: Shown by answerCallbackQuery, which takes plain text; the second one with a support code after it.
ALERTS = ("button_outdated", "internal_error")
BY_NAME = ("stage_", "command_", "advice_")
#: As much room as a placeholder may take: a trace ID with its tags, or a sentence.
_FILLER = "X" * 120

EVERY_TEXT = [(language, key) for language, texts in LANGUAGES.items() for key in texts]


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def test_both_languages_have_the_same_texts_in_the_same_order() -> None:
    assert list(LANGUAGES["en"]) == list(LANGUAGES["ru"])


@pytest.mark.parametrize("key", LANGUAGES["en"])
def test_both_languages_name_the_same_values(key: str) -> None:
    assert placeholders(LANGUAGES["en"][key]) == placeholders(LANGUAGES["ru"][key])


@pytest.mark.parametrize(("language", "key"), EVERY_TEXT)
def test_telegram_takes_the_text(language: str, key: str) -> None:
    text = LANGUAGES[language][key]
    full = text.format(**dict.fromkeys(placeholders(text), _FILLER))
    check_message(full)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", ALERTS)
def test_an_alert_is_short_and_plain(language: str, key: str) -> None:
    text = LANGUAGES[language][key]
    assert len(f"{text} 4BF9-2F35") <= ALERT_LIMIT
    assert not re.search(r"[<&]", text)


def _descendants(error: type[JobError]) -> list[type[JobError]]:
    return [error, *(d for child in error.__subclasses__() for d in _descendants(child))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_of_a_job_has_its_sentence(language: str) -> None:
    missing = [e.__name__ for e in _descendants(JobError) if e.text_key not in LANGUAGES[language]]
    assert missing == []


def test_an_error_s_sentence_names_only_limits_that_the_delivery_knows() -> None:
    named = {name for e in _descendants(JobError) for name in placeholders(LANGUAGES["en"][e.text_key])}
    assert named == {"max_mb", "max_minutes"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stage_has_its_sentence(language: str) -> None:
    assert {f"stage_{stage}" for stage in get_args(Stage)} <= set(LANGUAGES[language])


def test_every_text_is_said_somewhere() -> None:
    """A text that nothing says is left over from something. Stages and commands are said by their names."""
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in modules(PRODUCT[0]) if "locales" not in path.parts
    )
    unsaid = [key for key in LANGUAGES["en"] if f'"{key}"' not in source and not key.startswith(BY_NAME)]
    assert unsaid == []


@pytest.mark.parametrize("bad", ["<b>open", "closed</b>", "<h1>no</h1>", "a & b", "1 < 2", "<b><i>x</b></i>"])
def test_the_html_check_itself(bad: str) -> None:
    with pytest.raises(AssertionError):
        check_html(bad)
