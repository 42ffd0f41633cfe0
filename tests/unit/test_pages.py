"""Long answers on pages: nothing is lost, nothing is torn apart that fits, and Telegram takes every page."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from app.bot.screens.pages import Block, paged, units
from tests.kit.telegram_limits import check_html


def test_blocks_that_fit_share_a_page() -> None:
    assert paged([Block("", ["<b>a</b>", "b"], mono=False), Block("t", ["1 < 2", "3"])], 100) == [
        "<b>a</b>\nb\nt\n<pre>1 &lt; 2\n3</pre>"
    ]


def test_a_block_that_fits_on_a_page_begins_a_new_one_rather_than_to_be_torn() -> None:
    assert paged([Block("one", ["x" * 40]), Block("two", ["y" * 20, "z" * 20])], 70) == [
        f"one\n<pre>{'x' * 40}</pre>",
        f"two\n<pre>{'y' * 20}\n{'z' * 20}</pre>",
    ]


def test_a_longer_block_goes_on_under_its_title() -> None:
    assert paged([Block("t", ["a" * 20, "b" * 20, "c" * 20])], 60) == [
        f"t\n<pre>{'a' * 20}\n{'b' * 20}</pre>",
        f"t\n<pre>{'c' * 20}</pre>",
    ]


def test_blocks_without_lines_take_no_page() -> None:
    assert paged([Block("t", []), Block("", [], mono=False)], 60) == []


blocks = st.lists(st.tuples(st.lists(st.text(max_size=300), max_size=40), st.booleans()), max_size=5)


@given(blocks)
def test_no_line_is_lost_and_no_page_is_too_long(drafts: list[tuple[list[str], bool]]) -> None:
    made = [
        Block(f"<b>{number}</b>", [line.replace("\n", " ").replace("\r", " ") or "-" for line in lines])
        for number, (lines, _) in enumerate(drafts)
    ]
    pages = paged(made, 1500)
    for page in pages:
        check_html(page)
        assert 1 <= units(page) <= 1500
    shown = "".join(page.replace("<pre>", "").replace("</pre>", "") for page in pages)
    for block in made:
        for line in block.lines:
            assert line[:200] in unescape(shown)
