"""What the door reads of an update before anything understands it: its number, its kind, and what it is in order with.

Nothing here validates the update itself; a body with an `update_id` is stored, whatever else is in it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from app.errors import NotAnUpdate

#: Beyond this a number does not fit the database's columns.
_LARGEST = 2**63 - 1
#: What Telegram calls the types of updates. Anything else, a NUL among the letters, say, no database need take.
_KIND = re.compile(r"[a-z][a-z_]{0,31}")

#: Telegram waits 10 seconds for the answer: these never wait for a chat's turn.
EXPRESS = ("pre_checkout_query", "shipping_query")
PRESS = "callback_query"
#: A leader has to hear of these at once: to take them out of turn, or to answer while they wait.
URGENT = (*EXPRESS, PRESS)
#: How long Telegram remembers a press, in seconds (tdlib/telegram-bot-api, Client.cpp: update lifetimes).
PRESS_LIFE_S = 150


@dataclass(frozen=True, slots=True)
class Envelope:
    """One update as it came. `lane` is the chat (or user) that it stays in order with, None for no order at all.

    `sent_at` is when its message was sent, in seconds since the epoch, where the update says so.
    """

    update_id: int
    kind: str
    lane: int | None
    body: str
    sent_at: int | None = None


def read(raw: bytes) -> Envelope:
    """Read what Telegram posted. Raises `NotAnUpdate` for anything but a JSON object with a usable update_id."""
    try:
        text = raw.decode()
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAnUpdate from None
    if not isinstance(body, dict):
        raise NotAnUpdate
    return _envelope(body, text)


def wrap(body: dict[str, Any]) -> Envelope:
    """The same for an update that `getUpdates` gave. Raises `NotAnUpdate`."""
    return _envelope(body, json.dumps(body))


def _envelope(body: dict[str, Any], text: str) -> Envelope:
    update_id = body.get("update_id")
    if type(update_id) is not int or not 0 <= update_id <= _LARGEST:
        raise NotAnUpdate
    kind = next((key for key in body if _KIND.fullmatch(key) and key != "update_id"), "")
    event = body.get(kind)
    if not isinstance(event, dict):
        return Envelope(update_id, kind, None, text)
    lane = None if kind in EXPRESS else _lane(event)
    sent_at = event.get("date")
    usable = type(sent_at) is int and abs(sent_at) <= _LARGEST
    return Envelope(update_id, kind, lane, text, sent_at if usable else None)


def _lane(event: dict[str, Any]) -> int | None:
    """Its chat; a press stands in its message's; else its user, whose private chat has the same number."""
    message = event.get("message")
    places = (
        event.get("chat"),
        message.get("chat") if isinstance(message, dict) else None,
        event.get("from"),
    )
    for place in places:
        number = place.get("id") if isinstance(place, dict) else None
        if type(number) is int and abs(number) <= _LARGEST:
            return number
    return None
