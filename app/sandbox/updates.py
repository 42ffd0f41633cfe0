"""The queue of updates of one bot, and `getUpdates` over it.

Rules of tdlib/telegram-bot-api: an update lives 24 hours, a press 150 seconds; an offset confirms everything before
it; a second poller ends the first with 409; types that the bot did not allow are never queued. Beyond 5000 that wait
the oldest is forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from app.sandbox.clock import Bell, Clock
from app.sandbox.errors import ApiError
from app.sandbox.state import Json

LONG_POLL_LIMIT_S: Final = 50
HISTORY_LIMIT: Final = 1000
WAITING_LIMIT: Final = 5000
POLLED_S: Final = 60.0
_DAY_S: Final = 24 * 3600.0
_LIFE_S: Final = {
    "callback_query": 150.0,
    "shipping_query": 150.0,
    "pre_checkout_query": 150.0,
    "inline_query": 30.0,
}
KNOWN_TYPES: Final = frozenset(
    [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "message_reaction",
        "message_reaction_count",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "purchased_paid_media",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
        "subscription",
        "stopped_message_generation",
        "managed_bot",
    ]
)
_ONLY_ON_REQUEST: Final = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
CONFLICT_POLLER: Final = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
)
CONFLICT_SET_WEBHOOK: Final = "Conflict: terminated by setWebhook request"


@dataclass(frozen=True, slots=True)
class Update:
    """One update that waits. `repeat` is a second delivery, which no offset confirms."""

    update_id: int
    kind: str
    body: Json
    queue_id: int
    expires_at: float
    repeat: bool = False


class UpdateQueue:
    """What a bot has not taken yet, oldest first."""

    def __init__(self, clock: Clock, first_id: int) -> None:
        self.changed = Bell()
        self.allowed: frozenset[str] | None = None
        self._clock = clock
        self._next_id = first_id
        self._waiting: list[Update] = []
        self._history: deque[Update] = deque(maxlen=HISTORY_LIMIT)
        self._polled_at: float | None = None
        self._poller: asyncio.Task[object] | None = None
        self._terminated: dict[asyncio.Task[object], str] = {}

    def allow(self, types: Iterable[str]) -> None:
        """Remember which types the bot wants; an empty list is the default again."""
        chosen = frozenset(types) & KNOWN_TYPES
        self.allowed = chosen or None

    def put(self, kind: str, value: Json) -> int | None:
        """Queue an update; None when the bot does not want that type."""
        if kind not in (self.allowed if self.allowed is not None else KNOWN_TYPES - _ONLY_ON_REQUEST):
            return None
        update_id, self._next_id = self._next_id, self._next_id + 1
        life_s = _LIFE_S.get(kind, _DAY_S)
        body = {"update_id": update_id, kind: value}
        update = Update(update_id, kind, body, queue_id(kind, value), self._clock.now() + life_s)
        self._history.append(update)
        self._wait_for_bot(update)
        return update_id

    def repeat(self, update_id: int) -> bool:
        """Queue a known update once more, with a fresh life; False when it is forgotten."""
        for update in self._history:
            if update.update_id == update_id:
                life_s = _LIFE_S.get(update.kind, _DAY_S)
                self._wait_for_bot(replace(update, repeat=True, expires_at=self._clock.now() + life_s))
                return True
        return False

    def _wait_for_bot(self, update: Update) -> None:
        self._waiting = [*self._waiting[1 - WAITING_LIMIT :], update]
        self.changed.ring()

    def waiting(self) -> list[Update]:
        """Give what waits and has not expired."""
        now = self._clock.now()
        if any(update.expires_at <= now for update in self._waiting):
            self._waiting = [update for update in self._waiting if update.expires_at > now]
        return self._waiting

    def remove(self, update: Update) -> None:
        """Forget one update, because it arrived or was given up."""
        self._waiting = [other for other in self._waiting if other is not update]

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting = []

    def reset(self) -> None:
        """Forget the past too; the numbers go on."""
        self.clear()
        self._history.clear()

    @property
    def polled(self) -> bool:
        """Tell whether the bot asked for updates within the last minute of real time."""
        return self._polled_at is not None and time.monotonic() - self._polled_at < POLLED_S

    def end_polls(self, description: str) -> None:
        """Answer the waiting poller, if any, with 409."""
        if self._poller is not None:
            self._terminated[self._poller] = description
            self.changed.ring()

    async def poll(self, offset: int, limit: int, timeout_s: float, closing: asyncio.Event) -> list[Json]:
        """Confirm what is before `offset` and give the next updates, waiting for the first one.

        Raises:
            ApiError: 409 when another poller or a webhook took over.
        """
        self._polled_at = time.monotonic()
        self._confirm(offset)
        ready = self._take(limit)
        if ready or timeout_s <= 0:
            return ready
        self.end_polls(CONFLICT_POLLER)
        me = asyncio.current_task()
        if me is None:
            return []
        self._poller = me
        until = asyncio.get_running_loop().time() + min(timeout_s, LONG_POLL_LIMIT_S)
        try:
            return await self._wait(me, limit, until, closing)
        finally:
            self._terminated.pop(me, None)
            if self._poller is me:
                self._poller = None

    async def _wait(
        self, me: asyncio.Task[object], limit: int, until: float, closing: asyncio.Event
    ) -> list[Json]:
        loop = asyncio.get_running_loop()
        while not closing.is_set():
            if me in self._terminated:
                raise ApiError(409, self._terminated[me])
            if (ready := self._take(limit)) or loop.time() >= until:
                return ready
            await self.changed.wait(until - loop.time())
        return []

    def _confirm(self, offset: int) -> None:
        waiting = self.waiting()
        if offset < 0:
            self._waiting = waiting[offset:]
        elif offset > 0:
            self._waiting = [update for update in waiting if update.repeat or update.update_id >= offset]

    def _take(self, limit: int) -> list[Json]:
        waiting = self.waiting()
        repeats = [update for update in waiting if update.repeat][:limit]
        fresh = [update for update in waiting if not update.repeat][: limit - len(repeats)]
        if repeats:
            self._waiting = [update for update in waiting if update not in repeats]
        return [update.body for update in repeats + fresh]


def queue_id(kind: str, value: Json) -> int:
    """Give the queue within which the original keeps the order: a chat's messages, a user's presses, his payments."""
    sender = value.get("from")
    user_id = _number(sender.get("id")) if isinstance(sender, dict) else 0
    if kind == "callback_query":
        return user_id + (3 << 33)
    if kind in ("pre_checkout_query", "shipping_query"):
        return user_id + (4 << 33)
    chat = value.get("chat")
    return _number(chat.get("id")) if isinstance(chat, dict) else user_id


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
