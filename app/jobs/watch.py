"""Looks at the queue every two seconds, for the metrics: how many jobs wait, in all processes, and for how long."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from app.db.session import Database
from app.jobs import queue
from app.telemetry.catalogue import QUEUE_DEPTH, QUEUE_OLDEST_AGE
from app.telemetry.instruments import Reading, observe
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


class QueueWatch:
    """What the queue's gauges say; nothing, while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[int, datetime | None] | None = None
        observe(QUEUE_DEPTH, self._depth)
        observe(QUEUE_OLDEST_AGE, self._oldest_age)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                with untraced():
                    async with self._database.reading() as session:
                        self._seen = await queue.waiting(session)
            except Exception as error:  # whatever a driver raises means the same: the database is down
                self._seen = None
                _log.debug("the queue was not looked at: %s", type(error).__qualname__)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _depth(self) -> Reading:
        return None if self._seen is None else {"normal": self._seen[0]}

    def _oldest_age(self) -> Reading:
        if self._seen is None:
            return None
        due = self._seen[1]
        return {"normal": 0.0 if due is None else max((datetime.now(UTC) - due).total_seconds(), 0.0)}
