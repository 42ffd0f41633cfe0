"""What Telegram takes, as the Bot API documents it: the length and the HTML of a message, the parts of a keyboard."""

from __future__ import annotations

import re
from html.parser import HTMLParser

#: UTF-16 code units of a message; the real limit counts them after the entities are parsed, so this is stricter.
MESSAGE_LIMIT = 4096
ALERT_LIMIT = 200
CALLBACK_DATA_BYTES = 64
BUTTONS_A_ROW = 8
BUTTONS = 100

_TAGS = {"b", "i", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler"}
_BARE_AMPERSAND = re.compile(r"&(?!(?:lt|gt|amp|quot|#[0-9]+|#x[0-9a-f]+);)")
_BARE_LESS = re.compile(r"<(?!/?[a-z])")


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag in _TAGS, f"<{tag}> is no tag of Telegram's"
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag


def check_html(text: str) -> None:
    """Fail when Telegram would refuse the text as HTML."""
    parser = _Balance()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert not _BARE_AMPERSAND.search(text), "a bare & is not HTML"
    assert not _BARE_LESS.search(text), "a bare < is not HTML"


def check_message(text: str) -> None:
    """Fail when Telegram would refuse the text as a message in HTML."""
    check_html(text)
    assert 1 <= len(text.encode("utf-16-le")) // 2 <= MESSAGE_LIMIT
