"""Who was here lately: the number behind `bot_active_users`. Holds keyed hashes only, and at most `_MOST` of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock

from app.telemetry.identity import hashed

WINDOW_S = 300.0
_MOST = 100_000

_last_seen: OrderedDict[str, float] = OrderedDict()
_lock = Lock()  # the exporter reads on a thread of its own


def seen(user_id: int) -> None:
    """Note that a user did something now."""
    key = hashed(user_id)
    with _lock:
        _last_seen[key] = time.monotonic()
        _last_seen.move_to_end(key)
        if len(_last_seen) > _MOST:
            _last_seen.popitem(last=False)


def active_users() -> int:
    """Users seen in the last five minutes."""
    horizon = time.monotonic() - WINDOW_S
    with _lock:
        while _last_seen and next(iter(_last_seen.values())) < horizon:
            _last_seen.popitem(last=False)
        return len(_last_seen)
