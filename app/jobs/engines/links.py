"""Finds the link in a message and refuses the ones that no engine may see. Pure: where a host name leads is
only known when it is connected to, and is judged there (`netguard`)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import SplitResult, urlsplit

from app.errors import LinkNotAllowed

MAX_LINK_CHARS = 2048
"""Longer than any link that people send; browsers cut at about the same length."""

_LINK = re.compile(
    r"""https?://[^\s<>"]+
      | (?<![\w@./-])                              # not inside a word, an address or another link
        (?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24} # youtu.be
        (?::\d{1,5})?/[^\s<>"]*                    # a bare domain counts only with a path
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TRAILING = ".,;:!?'*_~|`»”’…"
_PAIRS = {")": "(", "]": "[", "}": "{"}

_SMUGGLED = "__youtubedl_smuggle"
"""yt-dlp reads orders for its extractors from this fragment; a stranger's link must not give any."""


def find_link(text: str) -> str | None:
    """Give the first link of a message, without the punctuation around it, or None.

    A bare domain needs a path (`youtu.be/abc`) and gets `https://`. The link found may still be refused by
    `check_link`.
    """
    found = _LINK.search(text)
    if found is None:
        return None
    link = _without_tail(found[0])
    return link if link.lower().startswith(("http://", "https://")) else f"https://{link}"


def check_link(url: str) -> str:
    """Give back a link that an engine may try, its scheme in lower case.

    Raises LinkNotAllowed for any scheme but http and https, for more than `MAX_LINK_CHARS` characters, for
    blanks, control characters and backslashes, and for a link that carries a user name or a password.
    """
    if len(url) > MAX_LINK_CHARS or any(map(_is_forbidden, url)) or _SMUGGLED in url:
        raise LinkNotAllowed
    try:
        parts = urlsplit(url)
        acceptable = _is_acceptable(parts)
    except ValueError:
        raise LinkNotAllowed from None
    if not acceptable:
        raise LinkNotAllowed
    return parts.scheme + url[len(parts.scheme) :]


def _is_acceptable(parts: SplitResult) -> bool:
    """Raises ValueError where the host or the port cannot be read."""
    return bool(
        parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    )


def _is_forbidden(char: str) -> bool:
    return char == "\\" or char.isspace() or unicodedata.category(char).startswith("C")


def _without_tail(link: str) -> str:
    while link:
        last = link[-1]
        closes_nothing = last in _PAIRS and link.count(last) > link.count(_PAIRS[last])
        if not (last in _TRAILING or closes_nothing):
            break
        link = link[:-1]
    return link
