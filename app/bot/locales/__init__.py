"""Every word that the bot says, in English and Russian. Wording lives here and nowhere else."""

from __future__ import annotations

from app.bot.locales import en, ru

LANGUAGES = {"en": en.TEXTS, "ru": ru.TEXTS}


def language_of(code: str | None) -> str:
    """The language to answer in, for a Telegram `language_code`: Russian for `ru`, English for all others."""
    return "ru" if (code or "").lower().startswith("ru") else "en"


def say(language: str, key: str, **values: str) -> str:
    """The text `key` in `language`, as Telegram HTML. The values must be escaped already."""
    return LANGUAGES[language][key].format(**values)
