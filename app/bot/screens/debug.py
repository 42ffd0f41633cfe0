"""What `/debug` shows to an admin: the last traces, and one of them as a waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.bot.locales import say
from app.bot.registry import ButtonId, ScreenId
from app.bot.screens import Button, Screen

#: Telegram takes 4096 characters a message; the rest of this one needs some.
_WATERFALL_LIMIT = 3200
_BUTTONS_A_ROW = 4


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One trace in short."""

    cid: str
    what: str
    outcome: str
    duration: str
    failed: bool


def traces(language: str, lines: Sequence[TraceLine]) -> Screen:
    """The overview, newest first."""
    refresh = Button(say(language, "button_refresh"), ButtonId.SHOW_TRACES)
    if not lines:
        return Screen(ScreenId.DEBUG, say(language, "debug_empty"), ((refresh,),))
    entries = [f"{number}. {_headline(language, line)}" for number, line in enumerate(lines, 1)]
    text = "\n".join([say(language, "debug_title"), *entries, "", say(language, "debug_pick")])
    buttons = [Button(str(n), ButtonId.SHOW_TRACE, line.cid) for n, line in enumerate(lines, 1)]
    rows = [tuple(buttons[i : i + _BUTTONS_A_ROW]) for i in range(0, len(buttons), _BUTTONS_A_ROW)]
    return Screen(ScreenId.DEBUG, text, (*rows, (refresh,)))


def trace(language: str, line: TraceLine, waterfall: str, linked: Sequence[str]) -> Screen:
    """One trace: headline, linked traces, waterfall."""
    parts = [_headline(language, line)]
    if linked:
        cids = " ".join(f"<code>{escape(cid)}</code>" for cid in linked[:3])
        parts.append(say(language, "debug_linked", cids=cids))
    parts.append(f"<pre>{escape(_cut(waterfall))}</pre>")
    jumps = [Button(f"🔗 {cid[:8]}", ButtonId.SHOW_TRACE, cid) for cid in linked[:3]]
    back = Button(say(language, "button_back"), ButtonId.SHOW_TRACES)
    return Screen(ScreenId.DEBUG_TRACE, "\n".join(parts), (*([tuple(jumps)] if jumps else []), (back,)))


def not_found(language: str, query: str) -> Screen:
    """No trace begins like that."""
    return Screen(ScreenId.NOTICE, say(language, "debug_unknown", query=escape(query[:40])))


def ambiguous(language: str, query: str, count: int) -> Screen:
    """More than one trace begins like that."""
    return Screen(ScreenId.NOTICE, say(language, "debug_many", query=escape(query[:40]), count=str(count)))


def _headline(language: str, line: TraceLine) -> str:
    return say(
        language,
        "debug_trace",
        mark="❌" if line.failed else "✅",
        what=escape(line.what),
        outcome=escape(line.outcome),
        duration=escape(line.duration),
        cid=escape(line.cid),
    )


def _cut(text: str) -> str:
    if len(text) <= _WATERFALL_LIMIT:
        return text
    return text[: text.rindex("\n", 0, _WATERFALL_LIMIT)] + "\n…"
