"""Server-Sent Events: one bounded queue for each page that listens.

A listener that does not keep up is cut off; a browser comes back by itself and reads the chat anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

QUEUE_LIMIT = 1000

Feed = asyncio.Queue[bytes | None]


def encode(name: str, data: Any) -> bytes:
    """Give one event as it goes over the wire."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


class EventHub:
    """Hands every event to every listener."""

    def __init__(self) -> None:
        self._feeds: set[Feed] = set()

    def publish(self, name: str, data: Any) -> None:
        """Queue the event for all listeners; a full queue ends its listener."""
        if not self._feeds:
            return
        wire = encode(name, data)
        for feed in tuple(self._feeds):
            if feed.qsize() >= QUEUE_LIMIT:
                self._cut(feed)
            else:
                feed.put_nowait(wire)

    @contextlib.contextmanager
    def listen(self) -> Iterator[Feed]:
        """Give a queue of events; None in it means that the stream is over."""
        feed: Feed = asyncio.Queue()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def close(self) -> None:
        """End every listener."""
        for feed in tuple(self._feeds):
            self._cut(feed)

    def _cut(self, feed: Feed) -> None:
        self._feeds.discard(feed)
        while not feed.empty():
            feed.get_nowait()
        feed.put_nowait(None)
