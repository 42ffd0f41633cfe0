"""Keyed hashes that stand for users and chats in telemetry. Without the key they lead back to nobody.

`HASH_KEY` is the root: what hashes is derived from it for one period (a UTC month, unless set otherwise), alike on all
instances, so that hashes of two periods cannot be joined. Without a root each process makes its own.
"""

from __future__ import annotations

import hmac
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

Rotation = Literal["day", "week", "month", "never"]

_DAY_S = 86_400
#: How a period is named, by strftime; a week is ISO's.
_PERIODS: dict[Rotation, str] = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "never": "always"}

_root = secrets.token_bytes(32)
_rotation: Rotation = "month"
_key = b""
_good_until = 0.0


def use_key(root: str, rotation: Rotation = "month") -> None:
    """Derive the keys from this root from now on; an empty one keeps the process's own."""
    global _root, _rotation, _good_until  # one root a process: it is set once, at start
    if root:
        _root = root.encode()
    _rotation = rotation
    _good_until = 0.0


def hashed(telegram_id: int) -> str:
    """16 hexadecimal digits that stand for a user or chat id in this period."""
    if time.time() >= _good_until:
        _turn_the_key()
    return _digits(_key, telegram_id)


@lru_cache(maxsize=10_000)  # OpenSSL takes its time to set up an HMAC; who does one thing mostly does another
def _digits(key: bytes, telegram_id: int) -> str:
    return hmac.digest(key, str(telegram_id).encode(), "sha256").hex()[:16]


def _turn_the_key() -> None:
    """Every period begins at a UTC midnight: the key is derived anew at each, and mostly the same again."""
    global _key, _good_until
    now = time.time()
    period = datetime.fromtimestamp(now, UTC).strftime(_PERIODS[_rotation])
    _key = hmac.digest(_root, f"telemetry {period}".encode(), "sha256")
    _good_until = now - now % _DAY_S + _DAY_S


def lasting_key(root: str) -> bytes:
    """A key that no period changes, for what is counted over more than one of them. Its hashes never leave the database."""
    return hmac.digest(root.encode(), b"activity", "sha256")
