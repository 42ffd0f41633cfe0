"""The screens: whole values of the main ones, and every one of them within what Telegram takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bot.locales import LANGUAGES, language_of, say
from app.bot.registry import STANDS_ON, ButtonId, Press, ScreenId, encode, judge
from app.bot.screens import Button, Screen, debug, job, menu
from app.bot.screens.debug import Story, TraceLine
from app.errors import JobError, Reason
from app.jobs.ports import Stage
from tests.kit.telegram_limits import BUTTONS, BUTTONS_A_ROW, CALLBACK_DATA_BYTES, check_message

CID = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
CODE = "4BF9-2F35"
LIMITS = {"max_mb": "50", "max_minutes": "120"}
LINE = TraceLine(CID, "message", "handled", "142 ms", failed=False)
FAILED = TraceLine(OTHER, "jobs.download", "failed, TooLarge", "3.1 s", failed=True)
WATERFALL = "process message         |█████     |142 ms\n select <jobs> & co     | ▏        |0.8 ms"

STORY = Story(LINE, "SUCCESS", "+0 ms UPDATE_RECEIVED\n+3 ms DISPATCH_OK handled", WATERFALL, [OTHER])
TITLE = "<b>Traces</b>"
NASTY = "<b>&\"'</b>" * 3

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
    "trace": lambda language: debug.trace(language, STORY),
    "long trace": lambda language: debug.trace(
        language,
        Story(
            FAILED,
            "DOWNSTREAM_ERROR",
            "\n".join(["+1 ms " + "X" * 90] * 90),
            "\n".join(["x" * 24 + "|██████████|142 ms"] * 500),
            [CID] * 9,
        ),
    ),
    "linked trace": lambda language: debug.trace(language, replace(STORY, links=[("Tempo", "https://g/?a=1&b=<>")])),
    "nasty trace": lambda language: debug.trace(language, Story(LINE, "", NASTY * 3, NASTY * 3, [NASTY])),
    **{
        f"reason {reason}": partial(lambda language, reason: debug.trace(language, replace(STORY, reason=reason)), reason=reason)
        for reason in Reason
    },
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


def test_many_traces_stand_four_in_a_row() -> None:
    assert [len(row) for row in debug.traces("en", TITLE, [LINE] * 10).rows] == [4, 4, 2, 2, 2, 1]


def test_one_trace() -> None:
    story = replace(STORY, reason="STATE_MISMATCH")
    assert debug.trace("en", story) == Screen(
        ScreenId.DEBUG_TRACE,
        f"✅ <b>message</b> · handled · 142 ms\n<code>{CID}</code>\n"
        "💡 <b>STATE_MISMATCH</b>: the message had moved on to another screen: ask to use /start.\n"
        f"🔗 linked: <code>{OTHER}</code>\n"
        "<pre>+0 ms UPDATE_RECEIVED\n+3 ms DISPATCH_OK handled</pre>\n"
        "<pre>process message         |█████     |142 ms\n"
        " select &lt;jobs&gt; &amp; co     | ▏        |0.8 ms</pre>",
        ((Button("🔗 0af76519", ButtonId.SHOW_TRACE, OTHER),), (Button("⬅️ Back", ButtonId.SHOW_TRACES),)),
    )


def test_a_trace_without_links_and_events_has_only_the_way_back() -> None:
    screen = debug.trace("en", Story(LINE, "", "", WATERFALL, []))
    assert screen.rows == ((Button("⬅️ Back", ButtonId.SHOW_TRACES),),)
    assert "linked" not in screen.text
    assert screen.text.count("<pre>") == 1


def test_a_long_waterfall_is_cut_between_lines() -> None:
    lines = [f"line {n:03} " + "x" * 40 for n in range(200)]
    text = debug.trace("en", Story(LINE, "", "", "\n".join(lines), [])).text
    shown = text.partition("<pre>")[2].removesuffix("</pre>").split("\n")
    assert shown[-1] == "…"
    assert shown[:-1] == lines[: len(shown) - 1]
    assert len(shown) > 30


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
