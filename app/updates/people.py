"""How many people were here in the last five minutes, day and month: a table of keyed hashes that all instances share.

A loop writes who was seen every five seconds and counts; no update waits for it. A restart forgets nobody but those of the
last seconds of a crash, and a person who moved between instances counts once.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import ActiveUserRow
from app.db.session import Database, insert_into
from app.telemetry import activity
from app.telemetry.catalogue import ACTIVE_USERS, DAILY_ACTIVE_USERS, MONTHLY_ACTIVE_USERS
from app.telemetry.identity import lasting_key
from app.telemetry.instruments import observe
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

_WINDOWS = {
    ACTIVE_USERS: timedelta(minutes=5),
    DAILY_ACTIVE_USERS: timedelta(days=1),
    MONTHLY_ACTIVE_USERS: timedelta(days=30),
}
_EVERY_S = 5.0
#: The whole table is read for the month's number, and pruned on the way.
_MONTH_EVERY_S = 60.0
#: Rows in one statement: converting more would hold the event loop up.
_AT_ONCE = 500
#: How long a stop waits for the last write.
_LAST_S = 2.0


class People:
    """Writes who was seen, and what the gauges of active users say; nothing, while the database does not answer."""

    def __init__(self, database: Database, root_key: str) -> None:
        self._database = database
        self._key = lasting_key(root_key)
        #: Which key the rows are of: nobody is counted under two.
        self._key_id = int.from_bytes(self._digest("key")[:4], "big", signed=True)
        self._unwritten: set[int] = set()
        self._counted: dict[str, float] = {}
        self._month_at = -_MONTH_EVERY_S
        for metric in _WINDOWS:
            observe(metric, lambda name=metric.name: self._counted.get(name))  # type: ignore[misc]  # bound now

    async def run(self) -> None:
        """Write and count until cancelled."""
        while True:
            try:
                with untraced():
                    await self._write()
                    await self._count()
            except Exception as error:  # whatever a driver raises means the same: the database is down
                self._counted.clear()
                _log.debug("active users were not counted: %s", type(error).__qualname__)
            await asyncio.sleep(_EVERY_S)

    async def close(self) -> None:
        """Write those who were seen last."""
        try:
            async with asyncio.timeout(_LAST_S):
                with untraced():
                    await self._write()
        except Exception as error:  # the database is down: some seconds of activity are lost
            _log.info("the last active users were not written: %s", type(error).__qualname__)

    async def _write(self) -> None:
        self._unwritten |= {self._hash(user_id) for user_id in activity.take()}
        # In one order everywhere: two instances that write the same people do not wait for each other in a circle.
        rest = iter(sorted(self._unwritten))
        while some := [*islice(rest, _AT_ONCE)]:
            async with self._database.transaction() as session:
                await _upsert(session, some, self._key_id)
            self._unwritten.difference_update(some)

    async def _count(self) -> None:
        now = datetime.now(UTC)
        async with self._database.reading() as session:
            for metric, window in _WINDOWS.items():
                if metric is MONTHLY_ACTIVE_USERS and time.monotonic() - self._month_at < _MONTH_EVERY_S:
                    continue
                recent = ActiveUserRow.key_id == self._key_id, ActiveUserRow.last_seen > now - window
                counting = select(func.count()).select_from(ActiveUserRow).where(*recent)
                self._counted[metric.name] = (await session.execute(counting)).scalar_one()
        if time.monotonic() - self._month_at >= _MONTH_EVERY_S:
            self._month_at = time.monotonic()
            await self._prune(now - _WINDOWS[MONTHLY_ACTIVE_USERS])

    async def _prune(self, oldest: datetime) -> None:
        async with self._database.transaction() as session:
            await session.execute(delete(ActiveUserRow).where(ActiveUserRow.last_seen < oldest))

    def _hash(self, user_id: int) -> int:
        """As a number: the table is as large as there are people, and an index lies on it."""
        return int.from_bytes(self._digest(str(user_id))[:8], "big", signed=True)

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode(), "sha256")


async def _upsert(session: AsyncSession, hashes: Iterable[int], key_id: int) -> None:
    now = datetime.now(UTC)
    statement = insert_into(session, ActiveUserRow)
    last_seen = statement.excluded.last_seen
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["user_hash"],
            set_={"last_seen": last_seen},
            where=ActiveUserRow.last_seen < last_seen,
        ),
        [{"user_hash": one, "key_id": key_id, "last_seen": now} for one in hashes],
    )
