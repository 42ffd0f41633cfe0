"""Takes secrets out of text, as the last step before anything leaves the process.

The first line of defence is to record nothing secret; this one catches what a library puts into a text of its own.
Linear in its input: every pattern has a fixed first part and no nested repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "<redacted>"

#: Shorter secrets than this would mask ordinary words.
_SHORTEST = 6

_PATTERNS = re.compile(
    r"""
      (?<!\d)\d{6,}:[A-Za-z0-9_-]{30,}            # a bot token (the form that @BotFather gives)
    | (?<=/bot)\d+:[^/\s"'<>]+                     # the token part of a Bot API address, whatever its length
    | (?<=://)[^/\s@"'<>]{1,256}@                  # user and password of an address
    | (?i:(?<=bearer\s))[A-Za-z0-9._~+/:-]{8,}=*    # an API key in an Authorization header
    """,
    re.VERBOSE,
)


class Scrubber:
    """Masks what looks like a secret, and the exact secrets that the settings hold."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, value: str) -> str:
        """The text with every secret masked."""
        if self._known is not None:
            value = self._known.sub(MASK, value)
        return _PATTERNS.sub(MASK, value)

    def attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of span or log attributes with every text in it scrubbed, also inside lists and maps."""
        return {key: self._value(value) for key, value in values.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return self.attributes(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._value(item) for item in value)
        return value
