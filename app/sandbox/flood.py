"""Flood limits: one bucket of tokens for each bot and for each of its chats, on the virtual clock.

Telegram does not publish its limits; these are the ones its FAQ advises, with room for a burst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.sandbox.clock import Clock
from app.sandbox.errors import too_many_requests


@dataclass(frozen=True, slots=True)
class FloodLimits:
    """Messages per second that a bot may send and edit, sustained, and how many it may send at once."""

    bot_rate: float = 30.0
    bot_burst: int = 30
    chat_rate: float = 1.0
    chat_burst: int = 20


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float

    def wait_s(self, need: int, rate: float, burst: int, now: float) -> float:
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now
        missing = min(need, burst) - self.tokens
        return missing / rate if missing > 1e-9 else 0.0


class FloodGate:
    """Counts what bots send. A refused call costs nothing."""

    def __init__(self, limits: FloodLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._bots: dict[int, _Bucket] = {}
        self._chats: dict[tuple[int, int], _Bucket] = {}

    def take(self, bot_id: int, chat_id: int, messages: int = 1) -> None:
        """Count `messages` into the chat.

        Raises:
            ApiError: 429 with `retry_after` when a bucket is empty.
        """
        limits, now = self._limits, self._clock.now()
        of_bot = self._bots.setdefault(bot_id, _Bucket(limits.bot_burst, now))
        of_chat = self._chats.setdefault((bot_id, chat_id), _Bucket(limits.chat_burst, now))
        wait_s = max(
            of_bot.wait_s(messages, limits.bot_rate, limits.bot_burst, now),
            of_chat.wait_s(messages, limits.chat_rate, limits.chat_burst, now),
        )
        if wait_s > 0:
            raise too_many_requests(math.ceil(wait_s))
        of_bot.tokens -= messages
        of_chat.tokens -= messages

    def reset(self) -> None:
        """Fill every bucket."""
        self._bots.clear()
        self._chats.clear()
