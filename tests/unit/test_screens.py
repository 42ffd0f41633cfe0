"""The screens: whole values of the main ones, and every one of them within what Telegram takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.locales import LANGUAGES, language_of, say
from app.bot.registry import STANDS_ON, ButtonId, Press, ScreenId, encode, judge
from app.bot.screens import Button, Screen, debug, job, menu
from app.bot.screens.debug import Story, TraceLine
from app.bot.screens.pages import Block
from app.errors import JobError
from app.jobs.ports import Stage
from tests.kit.telegram_limits import BUTTONS, BUTTONS_A_ROW, CALLBACK_DATA_BYTES, check_message

CID = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
CODE = "4BF9-2F35"
LIMITS = {"max_mb": "50", "max_minutes": "120"}
LINE = TraceLine(CID, "message", "handled", "142 ms", failed=False)
FAILED = TraceLine(OTHER, "jobs.download", "failed, TooLarge", "3.1 s", failed=True)
WATERFALL = ["*process message        |█████   | 142ms 141ms", "  select <jobs> & co    | ▏      | 0.8ms"]
EVENTS = ["+0 ms UPDATE_RECEIVED", "+3 ms DISPATCH_OK handled"]

STORY = Story(
    LINE,
    ["💡 <b>SUCCESS</b>: it went well; nothing to do."],
    [Block("<b>Events</b>", EVENTS), Block("<b>Spans</b>", WATERFALL)],
    [("⚙️ 0af76519", OTHER)],
)
TITLE = "<b>Traces</b>"
NASTY = "<b>&\"'</b>" * 3
LONG = Story(
    FAILED,
    [
        "💡 <b>DOWNSTREAM_ERROR</b>: look at the failed span.",
        '<a href="https://g/?a=1&amp;b=&lt;&gt;">Tempo</a>',
    ],
    [
        Block("<b>Events</b>", ["+1 ms " + "X" * 90] * 90),
        Block("<b>Spans</b>", [f"*span {n:04}".ljust(24) + "|████████| 142ms 0.3ms" for n in range(2000)]),
    ],
    [(f"🔗 {CID[:8]}", CID)] * 9,
)

ERRORS: tuple[type[JobError], ...] = (JobError, *JobError.__subclasses__())

Make = Callable[[str], Screen]
EVERY: dict[str, Make] = {
    "menu": menu.main_menu,
    "help": menu.help_page,
    "notice": lambda language: menu.notice(language, "send_link"),
    "queued": job.queued,
    "done": job.done,
    "caption": lambda language: Screen(ScreenId.RESULT, job.result_caption(language, CID)),
    **{f"stage {stage}": partial(job.progress, stage=stage, fraction=0.3) for stage in get_args(Stage)},
    **{
        f"failure {error.__name__}": partial(job.failure, text_key=error.text_key, code=CODE, **LIMITS)
        for error in ERRORS
    },
    "internal error": lambda language: job.failure(language, "internal_error", CODE),
    "no traces": lambda language: debug.traces(language, TITLE, []),
    "traces": lambda language: debug.traces(language, TITLE, [LINE, FAILED] * 4, ["00:00:00 " + "X" * 90] * 10),
    "nasty traces": lambda language: debug.traces(
        language, TITLE, [TraceLine(NASTY, NASTY, NASTY, NASTY, True)], [NASTY]
    ),
    "second page of traces": lambda language: debug.traces(language, TITLE, [LINE, FAILED] * 12, page=2),
    "trace": lambda language: debug.trace(language, STORY),
    **{
        f"page {page} of a long trace": partial(lambda language, page: debug.trace(language, LONG, page), page=page)
        for page in (1, 2, 3, 99)
    },
    "nasty trace": lambda language: debug.trace(
        language,
        Story(TraceLine(CID, NASTY * 50, NASTY * 50, NASTY, True), [], [Block(TITLE, [NASTY * 500] * 30)], [(NASTY[:64], CID)]),
    ),
    "not found": lambda language: debug.not_found(language, NASTY * 100),
    "ambiguous": lambda language: debug.ambiguous(language, NASTY * 100, 300),
}  # fmt: skip


def test_the_menu() -> None:
    assert menu.main_menu("en") == Screen(
        ScreenId.MAIN_MENU,
        "👋 <b>Hello! I am Tracegram.</b>\n\n"
        "Send me a link to a video or a song and I will send you the sound of it as an mp3.",
        ((Button("❓ Help", ButtonId.OPEN_HELP),),),
    )


def test_the_help_leads_back_to_the_menu() -> None:
    assert menu.help_page("ru").rows == ((Button("🏠 Меню", ButtonId.OPEN_MENU),),)


def test_a_failure_is_one_sentence_and_the_code() -> None:
    assert job.failure("en", "too_large", CODE, **LIMITS) == Screen(
        ScreenId.FAILURE,
        "🐘 This is larger than I may send in Telegram (50 MB).\n\nSupport code: <code>4BF9-2F35</code>",
    )
    assert job.failure("ru", "link_unreachable", CODE) == Screen(
        ScreenId.FAILURE,
        "🔌 Ссылка не отвечает. Проверьте её или попробуйте позже.\n\nКод поддержки: <code>4BF9-2F35</code>",
    )


def test_the_caption_is_the_cid() -> None:
    assert job.result_caption("en", CID) == f"cid <code>{CID}</code>"


@pytest.mark.parametrize(
    ("fraction", "bar"),
    [
        (None, ""),
        (0, "\n<code>▱▱▱▱▱▱▱▱▱▱</code> 0 %"),
        (0.5, "\n<code>▰▰▰▰▰▱▱▱▱▱</code> 50 %"),
        (0.999, "\n<code>▰▰▰▰▰▰▰▰▰▰</code> 100 %"),
        (1, "\n<code>▰▰▰▰▰▰▰▰▰▰</code> 100 %"),
        (-3, "\n<code>▱▱▱▱▱▱▱▱▱▱</code> 0 %"),
        (17, "\n<code>▰▰▰▰▰▰▰▰▰▰</code> 100 %"),
    ],
)
def test_the_progress_bar(fraction: float | None, bar: str) -> None:
    assert job.progress("en", "downloading", fraction) == Screen(ScreenId.PROCESSING, f"⬇️ Downloading…{bar}")


@given(st.floats(allow_nan=False), st.sampled_from(get_args(Stage)))
def test_the_bar_is_always_ten_cells(fraction: float, stage: Stage) -> None:
    bar = job.progress("en", stage, fraction).text.partition("<code>")[2].partition("</code>")[0]
    assert len(bar) == 10
    assert bar == "▰" * bar.count("▰") + "▱" * bar.count("▱")


CHOICES = (
    (Button("🎯 Last CID", ButtonId.SHOW_LAST), Button("❌ Errors", ButtonId.SHOW_ERRORS)),
    (Button("🐢 Slow", ButtonId.SHOW_SLOW), Button("📜 DEBUG 30 min", ButtonId.DEBUG_LOGS)),
    (Button("🔄 Refresh", ButtonId.SHOW_TRACES),),
)


def test_the_list_of_traces() -> None:
    assert debug.traces("en", TITLE, [LINE, FAILED], ["10:00:00 DISPATCH_OK", "09:59:59 <&>"]) == Screen(
        ScreenId.DEBUG,
        "<b>Traces</b>\n"
        f"1. ✅ <b>message</b> · handled · 142 ms\n<code>{CID}</code>\n"
        f"2. ❌ <b>jobs.download</b> · failed, TooLarge · 3.1 s\n<code>{OTHER}</code>\n"
        "\n"
        "<b>Last events</b>\n"
        "<pre>10:00:00 DISPATCH_OK\n09:59:59 &lt;&amp;&gt;</pre>\n"
        "\n"
        "Press a number for its waterfall, or send /debug with a trace ID or support code.",
        (
            (Button("1", ButtonId.SHOW_TRACE, CID), Button("2", ButtonId.SHOW_TRACE, OTHER)),
            *CHOICES,
        ),
    )


def test_an_empty_list_of_traces() -> None:
    assert debug.traces("en", TITLE, []) == Screen(
        ScreenId.DEBUG, "<b>Traces</b>\nNo traces yet. Send me something first.", CHOICES
    )


def test_eight_traces_stand_on_a_page_four_in_a_row() -> None:
    screen = debug.traces("en", TITLE, [LINE] * 20, list_of=ButtonId.SHOW_ERRORS, page=2)
    assert screen.text.splitlines()[:2] == ["<b>Traces</b> · 2/3", "9. ✅ <b>message</b> · handled · 142 ms"]
    assert [[button.text for button in row] for row in screen.rows[:2]] == [
        ["9", "10", "11", "12"],
        ["13", "14", "15", "16"],
    ]
    assert screen.rows[2] == (Button("◀️", ButtonId.SHOW_ERRORS, "1"), Button("▶️", ButtonId.SHOW_ERRORS, "3"))
    assert screen.rows[3:] == CHOICES


PICTURE = Button("🖼 Picture", ButtonId.SHOW_PICTURE, CID)
BACK = Button("⬅️ Back", ButtonId.SHOW_TRACES)


def test_one_trace() -> None:
    assert debug.trace("en", STORY) == Screen(
        ScreenId.DEBUG_TRACE,
        f"✅ <b>message</b> · handled · 142 ms\n<code>{CID}</code>\n"
        "💡 <b>SUCCESS</b>: it went well; nothing to do.\n"
        "<b>Events</b>\n<pre>+0 ms UPDATE_RECEIVED\n+3 ms DISPATCH_OK handled</pre>\n"
        "<b>Spans</b>\n<pre>*process message        |█████   | 142ms 141ms\n"
        "  select &lt;jobs&gt; &amp; co    | ▏      | 0.8ms</pre>",
        ((Button("⚙️ 0af76519", ButtonId.SHOW_TRACE, OTHER),), (PICTURE, BACK)),
    )


def test_a_trace_of_which_no_span_is_left_has_no_picture() -> None:
    screen = debug.trace("en", Story(LINE, ["📭"], drawable=False))
    assert screen == Screen(
        ScreenId.DEBUG_TRACE, f"✅ <b>message</b> · handled · 142 ms\n<code>{CID}</code>\n📭", ((BACK,),)
    )


def test_every_line_of_a_long_trace_stands_on_one_of_its_pages() -> None:
    count = int(debug.trace("en", LONG).text.splitlines()[1].rpartition("/")[2])
    assert 20 < count < 60
    shown: list[str] = []
    for page in range(1, count + 1):
        text = debug.trace("en", LONG, page).text
        assert text.startswith(
            f"❌ <b>jobs.download</b> · failed, TooLarge · 3.1 s\n<code>{OTHER}</code> · {page}/{count}\n"
        )
        shown += [line.partition("<pre>")[2] or line for line in text.splitlines()]
    spans = [line[:10].removesuffix("<") for line in shown if line.startswith("*span")]
    assert spans == [f"*span {n:04}" for n in range(2000)]


def test_the_pages_of_a_trace_are_turned_by_buttons() -> None:
    last = int(debug.trace("en", LONG).text.splitlines()[1].rpartition("/")[2])

    def turns(page: int) -> list[tuple[str, str]]:
        row = debug.trace("en", LONG, page).rows[0]
        assert {button.id for button in row} == {ButtonId.SHOW_PAGE}
        return [(button.text, button.argument.removeprefix(f"{OTHER}.")) for button in row]

    assert turns(1) == [("▶️", "2"), ("⏭", str(last))]
    assert turns(3) == [("⏮", "1"), ("◀️", "2"), ("▶️", "4"), ("⏭", str(last))]
    assert turns(last) == turns(10_000) == [("⏮", "1"), ("◀️", str(last - 1))]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_telegram_takes_every_screen(make: Make, language: str) -> None:
    screen = make(language)
    used: set[tuple[ScreenId, ButtonId]] = set()
    check_message(screen.text)
    assert sum(map(len, screen.rows)) <= BUTTONS
    for button in (button for row in screen.rows for button in row):
        assert 1 <= len(button.text) <= 64
        press = Press(screen.id, button.id, button.argument)
        data = encode(press)
        assert 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES
        assert judge(data, [data]) == press
        used.add((screen.id, button.id))
    assert all(len(row) <= BUTTONS_A_ROW for row in screen.rows)
    assert used <= {(screen.id, button) for button in STANDS_ON.get(screen.id, ())}


def test_every_screen_and_every_button_of_the_registry_is_shown() -> None:
    screens = [make("en") for make in EVERY.values()]
    assert {screen.id for screen in screens} == set(ScreenId)
    assert {(s.id, b.id) for s in screens for row in s.rows for b in row} == {
        (screen, button) for screen, buttons in STANDS_ON.items() for button in buttons
    }


@pytest.mark.parametrize(
    ("code", "language"),
    [("ru", "ru"), ("RU", "ru"), ("ru-RU", "ru"), ("en", "en"), ("de", "en"), ("", "en"), (None, "en")],
)
def test_the_language_to_answer_in(code: str | None, language: str) -> None:
    assert language_of(code) == language


def test_a_text_without_its_values_is_an_error_not_a_gap() -> None:
    with pytest.raises(KeyError):
        say("en", "too_large")
