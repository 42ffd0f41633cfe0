"""What `/debug` shows to an admin: the last traces and events, and one trace with all that is known of it, on pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from app.bot.locales import say
from app.bot.registry import ButtonId, ScreenId
from app.bot.screens import Button, Screen
from app.bot.screens.pages import MESSAGE_LIMIT, Block, paged, units

LINES_A_PAGE = 8
_BUTTONS_A_ROW = 4
#: Headlines and what stands below them; longer ones would be no headlines.
_LONGEST_TITLE = 60


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
    """One trace at length. `facts` are lines of HTML, `blocks` its events and spans, and those of what is behind it.

    `jumps` are captions and trace IDs of other traces; `drawable` says that there is a picture to be had.
    """

    line: TraceLine
    facts: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    jumps: Sequence[tuple[str, str]] = ()
    drawable: bool = True


def traces(
    language: str,
    title: str,
    lines: Sequence[TraceLine],
    events: Sequence[str] = (),
    *,
    empty: str = "",
    list_of: ButtonId = ButtonId.SHOW_TRACES,
    page: int = 1,
) -> Screen:
    """Eight traces a page, each with a button, and the last events below them; or the words for an empty list. `title` is HTML.

    `list_of` is the button that leads to the list, and to its other pages.
    """
    last = max(-(-len(lines) // LINES_A_PAGE), 1)
    page = min(max(page, 1), last)
    first = (page - 1) * LINES_A_PAGE
    shown = list(enumerate(lines, 1))[first : first + LINES_A_PAGE]
    parts = [title + (f" · {page}/{last}" if last > 1 else "")]
    if shown:
        parts += [f"{number}. {_headline(language, line)}" for number, line in shown]
        if events:
            parts += ["", say(language, "debug_events"), f"<pre>{escape(chr(10).join(events))}</pre>"]
        parts += ["", say(language, "debug_pick")]
    else:
        parts.append(empty or say(language, "debug_empty"))
    numbers = [Button(str(number), ButtonId.SHOW_TRACE, line.cid) for number, line in shown]
    rows = [tuple(numbers[i : i + _BUTTONS_A_ROW]) for i in range(0, len(numbers), _BUTTONS_A_ROW)]
    turn = _turn(list_of, "", page, last)
    return Screen(ScreenId.DEBUG, "\n".join(parts), (*rows, *turn, *_choices(language)))


def trace(language: str, story: Story, page: int = 1) -> Screen:
    """One trace: headline on every page; reason, advice and what is behind it; events; waterfall."""
    head = _headline(language, story.line)
    room = MESSAGE_LIMIT - units(head) - len(" · 1000/1000\n")
    pages = paged([Block("", story.facts, mono=False), *story.blocks], room) or [""]
    page = min(max(page, 1), len(pages))
    number = f" · {page}/{len(pages)}" if len(pages) > 1 else ""
    text = f"{head}{number}\n{pages[page - 1]}".rstrip()
    picture = Button(say(language, "button_picture"), ButtonId.SHOW_PICTURE, story.line.cid)
    back = Button(say(language, "button_back"), ButtonId.SHOW_TRACES)
    rows = [
        *_turn(ButtonId.SHOW_PAGE, f"{story.line.cid}.", page, len(pages)),
        tuple(Button(caption, ButtonId.SHOW_TRACE, cid) for caption, cid in story.jumps[:_BUTTONS_A_ROW]),
        (picture, back) if story.drawable else (back,),
    ]
    return Screen(ScreenId.DEBUG_TRACE, text, tuple(row for row in rows if row))


def not_found(language: str, query: str) -> Screen:
    """No trace begins like that. A button leads back to the list, whose place the screen may take."""
    back = Button(say(language, "button_back"), ButtonId.SHOW_TRACES)
    return Screen(ScreenId.DEBUG_TRACE, say(language, "debug_unknown", query=escape(query[:40])), ((back,),))


def ambiguous(language: str, query: str, count: int) -> Screen:
    """More than one trace begins like that."""
    return Screen(ScreenId.NOTICE, say(language, "debug_many", query=escape(query[:40]), count=str(count)))


def _turn(button: ButtonId, before: str, page: int, last: int) -> tuple[tuple[Button, ...], ...]:
    """A row that leads to the other pages: the first, the one before, the next, the last."""
    steps = (
        ("⏮", 1, page > 2),
        ("◀️", page - 1, page > 1),
        ("▶️", page + 1, page < last),
        ("⏭", last, page < last - 1),
    )
    row = tuple(Button(caption, button, f"{before}{to}") for caption, to, useful in steps if useful)
    return (row,) if row else ()


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
        what=escape(line.what[:_LONGEST_TITLE]),
        outcome=escape(line.outcome[:_LONGEST_TITLE]),
        duration=escape(line.duration),
        cid=escape(line.cid),
    )
