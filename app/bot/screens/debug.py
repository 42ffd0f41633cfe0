"""What `/debug` shows to an admin: the last traces and events, and one trace with its reason, chain and waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.bot.locales import say
from app.bot.registry import ButtonId, ScreenId
from app.bot.screens import Button, Screen

#: Telegram takes 4096 characters a message; the headline, the reason and the links of a trace need the rest.
_CHAIN_LIMIT = 900
_WATERFALL_LIMIT = 2000
_BUTTONS_A_ROW = 4


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One trace in short."""

    cid: str
    what: str
    outcome: str
    duration: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Story:
    """One trace at length. `reason` is a reason code or empty, `chain` and `waterfall` are lines of text.

    `links` are titles and addresses of the same trace elsewhere.
    """

    line: TraceLine
    reason: str
    chain: str
    waterfall: str
    linked: Sequence[str]
    links: Sequence[tuple[str, str]] = ()


def traces(language: str, title: str, lines: Sequence[TraceLine], events: Sequence[str] = ()) -> Screen:
    """Traces by number, each with a button, and the last events below them. `title` is HTML."""
    parts = [title]
    if lines:
        parts += [f"{number}. {_headline(language, line)}" for number, line in enumerate(lines, 1)]
        if events:
            parts += ["", say(language, "debug_events"), f"<pre>{escape(chr(10).join(events))}</pre>"]
        parts += ["", say(language, "debug_pick")]
    else:
        parts.append(say(language, "debug_empty"))
    numbers = [Button(str(n), ButtonId.SHOW_TRACE, line.cid) for n, line in enumerate(lines, 1)]
    rows = [tuple(numbers[i : i + _BUTTONS_A_ROW]) for i in range(0, len(numbers), _BUTTONS_A_ROW)]
    return Screen(ScreenId.DEBUG, "\n".join(parts), (*rows, *_choices(language)))


def trace(language: str, story: Story) -> Screen:
    """One trace: headline, why it ended so and what to do, linked traces, chain of events, waterfall."""
    parts = [_headline(language, story.line)]
    if story.reason:
        advice = say(language, f"advice_{story.reason}")
        parts.append(say(language, "debug_reason", reason=escape(story.reason), advice=advice))
    linked = story.linked[:3]
    if linked:
        cids = " ".join(f"<code>{escape(cid)}</code>" for cid in linked)
        parts.append(say(language, "debug_linked", cids=cids))
    if story.links:
        parts.append(" · ".join(f'<a href="{escape(url)}">{escape(title)}</a>' for title, url in story.links))
    if story.chain:
        parts.append(f"<pre>{escape(_cut(story.chain, _CHAIN_LIMIT))}</pre>")
    parts.append(f"<pre>{escape(_cut(story.waterfall, _WATERFALL_LIMIT))}</pre>")
    jumps = tuple(Button(f"🔗 {cid[:8]}", ButtonId.SHOW_TRACE, cid) for cid in linked)
    back = Button(say(language, "button_back"), ButtonId.SHOW_TRACES)
    return Screen(ScreenId.DEBUG_TRACE, "\n".join(parts), (*([jumps] if jumps else []), (back,)))


def not_found(language: str, query: str) -> Screen:
    """No trace begins like that."""
    return Screen(ScreenId.NOTICE, say(language, "debug_unknown", query=escape(query[:40])))


def ambiguous(language: str, query: str, count: int) -> Screen:
    """More than one trace begins like that."""
    return Screen(ScreenId.NOTICE, say(language, "debug_many", query=escape(query[:40]), count=str(count)))


def _choices(language: str) -> tuple[tuple[Button, ...], ...]:
    def button(text_key: str, id: ButtonId) -> Button:
        return Button(say(language, text_key), id)

    return (
        (button("button_last", ButtonId.SHOW_LAST), button("button_errors", ButtonId.SHOW_ERRORS)),
        (button("button_slow", ButtonId.SHOW_SLOW), button("button_logs", ButtonId.DEBUG_LOGS)),
        (button("button_refresh", ButtonId.SHOW_TRACES),),
    )


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


def _cut(text: str, limit: int) -> str:
    """Whole lines, as many as fit."""
    if len(text) <= limit:
        return text
    return text[: max(text.rfind("\n", 0, limit), 0)] + "\n…"
