"""Long answers on pages that Telegram takes: 4096 UTF-16 units a message. Pure.

Counted before Telegram reads the HTML, which is stricter than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

MESSAGE_LIMIT = 4096
#: No line of monospaced text is worth more.
_LONGEST_LINE = 200
_FRAME = ("<pre>", "</pre>")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines below a title, which is HTML. The lines are HTML too, or, when `mono`, plain text to be set as code."""

    title: str
    lines: Sequence[str]
    mono: bool = True


def paged(blocks: Sequence[Block], room: int) -> list[str]:
    """The blocks as pages of at most `room` units of HTML. A block that fits on one page is not torn apart.

    A single line of HTML, and a title, must have room on a page.
    """
    pages: list[str] = []
    page = ""
    for block in blocks:
        for piece in _pieces(block, room):
            joined = f"{page}\n{piece}" if page else piece
            if units(joined) > room:
                pages.append(page)
                joined = piece
            page = joined
    return [*pages, page] if page else pages


def _pieces(block: Block, room: int) -> list[str]:
    """One block as HTML, in as many pieces as it needs; each has the title."""
    pieces: list[list[str]] = [[]]
    frame = _FRAME if block.mono else ("", "")
    bare = units(block.title) + units("".join(frame)) + 1
    used = bare
    for line in block.lines:
        shown = escape(line[:_LONGEST_LINE]) if block.mono else line
        if used + units(shown) + 1 > room and pieces[-1]:
            pieces.append([])
            used = bare
        pieces[-1].append(shown)
        used += units(shown) + 1
    opened, closed = frame
    head = f"{block.title}\n" if block.title else ""
    return [f"{head}{opened}{chr(10).join(piece)}{closed}" for piece in pieces if piece]


def units(text: str) -> int:
    """The length of a text as Telegram counts it: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
