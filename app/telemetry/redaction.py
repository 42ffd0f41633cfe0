"""Takes secrets out of text, as the last step before anything leaves the process.

The first line of defence is to record nothing secret; this one catches what a library puts into a text of its own.
Linear in its input: a run of characters is entered once, at its fixed first part, and never read again from its middle.
A test walks the patterns and proves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

MASK = "<redacted>"

#: Shorter secrets than this would mask ordinary words.
_SHORTEST = 6

#: What stands in front of a value that is secret whatever it looks like.
_KINDS_OF_KEYS = ("api", "access", "auth", "hash", "private", "secret")
_NAMES = (
    *("password", "passwd", "pwd", "secret", "token", "apikey"),
    *(f"{kind}{dash}key" for kind in _KINDS_OF_KEYS for dash in "_-"),
)
_NAMED = "(?i:" + "|".join(f"(?<={name}.)" for name in _NAMES) + ")"

_VALUE = r"""(?:"(?:[^"\\]|\\.)*+"?+|'(?:[^'\\]|\\.)*+'?+|[^\s&"'<>,;()\[\]{}]++)"""

#: A text that must be there at all, and what is masked then. Each pattern begins with a character or a class: the search
#: jumps from one to the next, and looks back only there. The group `keep` of what is found stays.
_SECRETS = (
    # A bot token (the form that @BotFather gives), also in a URL or in JSON.
    ("", r"\d(?<!\d\d)\d{5,}+(?::|(?i:%(?:25)?3a|\\u003a))(?:[A-Za-z0-9_-]|(?i:%(?:25)?(?:2d|5f))){30,}+"),
    # The token part of a Bot API address, whatever its length.
    ("bot", r"""(?P<keep>bot(?:(?<=/bot)|(?i:(?<=%2fbot))))\d++(?::|%3[Aa])[^/\s"'<>\\%]++"""),
    # User and password of an address.
    ("@", r"""(?P<keep>:(?://|\\/\\/))[^/\s"'<>\\]*@"""),
    ("%", r"""(?P<keep>%3[Aa]%2[Ff]%2[Ff])(?:[^/\s"'<>\\&%]|%(?!2[Ff]))*(?:@|%40)"""),
    # Credentials in a header.
    ("", r"(?P<keep>[Bb](?i:earer(?:\s|%20)|asic\s(?<=authorization:\sbasic\s)))[A-Za-z0-9._~+/:-]{8,}+=*+"),
    (":", r"""(?P<keep>:(?i:(?<=api-key:)|(?<=secret-token:))\s?)[^\s"'<>,;]++"""),
    # name=value, and "name": "value", the latter also as a text within JSON.
    ("=", rf"(?P<keep>={_NAMED}){_VALUE}"),
    ("%", rf"(?P<keep>%{_NAMED}3[Dd]){_VALUE}"),
    (":", rf"""(?P<keep>["']{_NAMED}\s?:\s?)(?=["']){_VALUE}"""),
    ("\\", rf"""(?P<keep>\\{_NAMED}"\s?:\s?\\")[^"\\]*+"""),
)
#: Keys, by the first part that their makers gave them.
_KEYS = (
    r"[sprgxAe](?<![A-Za-z0-9].)"
    r"(?:(?<=[spr])k[-_]|(?<=g)(?:h[a-z]_|ithub_pat_|lsa_)|(?<=x)ox[a-z]-|(?<=A)(?:KIA|Iza)|(?<=e)yJ)"
    r"[A-Za-z0-9_.-]{16,}+"
)
_SHORTEST_KEY = 19
#: All but such a key have one of these in it: names and hashes have none.
_MARK = re.compile(r"[:=%\\\s]")

PATTERNS = tuple((needle, re.compile(pattern)) for needle, pattern in (*_SECRETS, ("", _KEYS)))
_KEY_PATTERN = PATTERNS[-1][1]


def _mask(found: re.Match[str]) -> str:
    """The mask, after what stays."""
    return found.groupdict().get("keep", "") + MASK


class Scrubber:
    """Masks what looks like a secret, and the exact secrets that the settings hold."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _written(secret)}
        known = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, value: str) -> str:
        """The text with every secret masked."""
        if self._known is not None:
            value = self._known.sub(MASK, value)
        if _MARK.search(value) is None:
            return value if len(value) < _SHORTEST_KEY else _KEY_PATTERN.sub(MASK, value)
        for needle, pattern in PATTERNS:
            if needle in value:
                value = pattern.sub(_mask, value)
        return value

    def attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of span or log attributes with every text in it scrubbed, also inside lists and maps."""
        return {key: self._value(value) for key, value in values.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._value(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(item) for item in value)
        # An exporter would write it out as it likes: an exception, say, with its text.
        return self.text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _written(secret: str) -> Iterator[str]:
    """The ways in which a secret is written: as it is, in a URL, in JSON."""
    yield from (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1])
