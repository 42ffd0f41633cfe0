"""A queue between the event loop and the export: bounded by number and by bytes, and it counts what it had to drop.

Putting never waits. What is oldest is dropped: after a long outage, the newest say more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

_T = TypeVar("_T")

#: What one signal may have waiting.
MOST, MOST_BYTES = 8192, 32 * 1024 * 1024
#: So many are worth an export before its time.
_MANY = 512


def _nothing() -> None:
    """Nobody waits for it."""


class Queue(Generic[_T]):
    """What waits for its export. Safe to use from any thread."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        #: Called when the queue has grown long, which it does not do again until it was short.
        self.on_many: Callable[[], None] = _nothing
        self._long = False
        self._most = most
        self._most_bytes = most_bytes
        self._items: deque[tuple[_T, int]] = deque()
        self._lock = Lock()
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _T, weight: int) -> None:
        """Let one item wait, which weighs about so many bytes."""
        with self._lock:
            self._items.append((item, weight))
            self.bytes += weight
            while len(self._items) > self._most or self.bytes > self._most_bytes:
                self.bytes -= self._items.popleft()[1]
                self.dropped += 1
        if len(self._items) >= _MANY and not self._long:
            self._long = True
            self.on_many()

    def take(self, most: int) -> list[_T]:
        """The oldest items, which are no longer in the queue."""
        with self._lock:
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self.bytes -= sum(weight for _, weight in taken)
            self._long = len(self._items) >= _MANY
        return [item for item, _ in taken]
