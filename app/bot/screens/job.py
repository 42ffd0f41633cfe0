"""A job in the chat: queued, under way, delivered, failed."""

from __future__ import annotations

from html import escape

from app.bot.locales import say
from app.bot.registry import ScreenId
from app.bot.screens import Screen

_BAR_CELLS = 10


def queued(language: str) -> Screen:
    """The message that is edited until the job ends."""
    return Screen(ScreenId.PROCESSING, say(language, "queued"))


def progress(language: str, stage: str, fraction: float | None) -> Screen:
    """How far the job is; with a bar when that is known."""
    text = say(language, f"stage_{stage}")
    if fraction is not None:
        full = round(max(0.0, min(fraction, 1.0)) * _BAR_CELLS)
        text += f"\n<code>{'▰' * full}{'▱' * (_BAR_CELLS - full)}</code> {full * 100 // _BAR_CELLS} %"
    return Screen(ScreenId.PROCESSING, text)


def done(language: str) -> Screen:
    """What the progress message says at the end."""
    return Screen(ScreenId.PROCESSING, say(language, "done"))


def result_caption(language: str, cid: str) -> str:
    """The caption of the delivered file."""
    return say(language, "result_caption", cid=escape(cid))


def failure(language: str, text_key: str, code: str, **limits: str) -> Screen:
    """One plain sentence and the support code. `limits` fill the sentences that name one."""
    sentence = say(language, text_key, **limits)
    return Screen(ScreenId.FAILURE, say(language, "failure", sentence=sentence, code=escape(code)))
