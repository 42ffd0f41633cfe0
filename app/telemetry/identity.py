"""Keyed hashes that stand for users and chats in telemetry. Without the key they lead back to nobody.

The key comes from `HASH_KEY`; without one, each process makes its own, and hashes compare only within it.
"""

from __future__ import annotations

import hmac
import secrets

_key = secrets.token_bytes(32)


def use_key(key: str) -> None:
    """Hash with this key from now on; an empty one keeps the process's own."""
    global _key  # one key a process: it is set once, at start
    if key:
        _key = key.encode()


def hashed(telegram_id: int) -> str:
    """16 hexadecimal digits that stand for a user or chat id."""
    return hmac.digest(_key, str(telegram_id).encode(), "sha256").hex()[:16]
