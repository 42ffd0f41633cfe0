"""Updates that no Telegram of today sends: they are stored, and hold up nobody."""

from __future__ import annotations

import json

import pytest

from app.db.session import Database
from tests.kit.updates import instance, message


@pytest.mark.parametrize("kind", ["\0", "\ud800", "x" * 1000, "", "что-то", "a b"])
async def test_a_strange_kind_is_stored(database: Database, kind: str) -> None:
    """A kind that the database does not take failed all that came with it, as often as Telegram brought it again."""
    async with instance(database) as here:
        await here.put(json.dumps({"update_id": 5, kind: {"chat": {"id": 1}, "date": 10**400}}).encode())
        await here.put(message(6))
        await here.all_done()
    assert here.script.ended == [5, 6]
