"""Door, lease, leader and bell put together: everything about updates that a process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.line import Line
from app.db.session import Database
from app.errors import InboxUnavailable
from app.telemetry.catalogue import INBOX_DEPTH, LEADER_STATE, LOCK_EPOCH, LOCK_HEARTBEAT_AGE
from app.telemetry.instruments import observe
from app.telemetry.untraced import untraced
from app.updates import inbox
from app.updates.bell import LEASE, UPDATES, Bell, ring
from app.updates.door import Door
from app.updates.frozen import free_from_frozen
from app.updates.leader import Leader
from app.updates.lease import Lease
from app.updates.ports import Processor

_log = logging.getLogger(__name__)

_COUNT_EVERY_S = 1.0
#: No instance has been ACTIVE for so long, although this one tries to be.
_ABANDONED_S = 45.0
_PRUNE_EVERY_S = 600.0

#: What else only the ACTIVE instance does, until it is cancelled: polling.
Also = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of this part; times in the unit that the name says."""

    inbox_limit: int
    concurrency: int
    heartbeat_s: float
    expiry_s: float
    body_retention_h: float
    row_retention_h: float


class Updates:
    """The inbox, its door and its leader."""

    def __init__(
        self, database: Database, lease_database: Database, processor: Processor, options: Options
    ) -> None:
        self._database = database
        self._options = options
        # Connections of its own: neither a heartbeat nor what frees locks queues behind handlers.
        self._lease_database = lease_database
        self.lease = Lease(lease_database, options.heartbeat_s, options.expiry_s)
        self.door = Door(database, options.inbox_limit, on_stored=self._stored)
        self._leader = Leader(
            database,
            processor,
            concurrency=options.concurrency,
            keep_body=options.body_retention_h > 0,
        )
        self._bell = Bell(database, self._heard)
        self._depth = 0
        observe(INBOX_DEPTH, lambda: self._depth)
        observe(LEADER_STATE, lambda: float(self.lease.state == "ACTIVE"))
        observe(LOCK_HEARTBEAT_AGE, self.lease.heartbeat_age_s)
        observe(LOCK_EPOCH, lambda: float(self.lease.seen.epoch if self.lease.seen else 0))

    @asynccontextmanager
    async def storing(self) -> AsyncIterator[None]:
        """Store updates in the block. It must be longer than the web server's: whatever knocks is let in to the end."""
        async with asyncio.TaskGroup() as group:
            door = group.create_task(self.door.run())
            try:
                yield
            finally:
                door.cancel()

    async def run(self, also: Also) -> None:
        """Process updates while ACTIVE; a cancellation hands over."""

        async def lead(epoch: int, stop: asyncio.Event) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._leader.lead(epoch, stop))
                more = group.create_task(also())
                await stop.wait()
                more.cancel()

        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(loop)
                for loop in (
                    self._bell.run(),
                    self._counting(),
                    self._forget(),
                    free_from_frozen(self._lease_database),
                )
            ]
            try:
                await self.lease.run(lead)
            finally:
                for other in others:
                    other.cancel()

    async def take(self) -> dict[str, str]:
        """For `/health`. Raises `InboxUnavailable` while updates are not taken, or nobody has processed any for long."""
        if not self.door.is_open or self.lease.heartbeat_age_s() > _ABANDONED_S:
            raise InboxUnavailable
        return {}

    async def _stored(self, line: Line, urgent: bool) -> None:
        if self.lease.state == "ACTIVE":
            self._leader.wake(urgent=urgent)
            return
        try:
            await ring(line, UPDATES)
        except (
            Exception
        ) as error:  # the update is stored: the ACTIVE instance looks by itself, a little later
            _log.info("the ACTIVE instance was not told (%s)", type(error).__qualname__)

    def _heard(self, what: str) -> None:
        if what == LEASE:
            self.lease.look()
        else:
            self._leader.wake(urgent=True)

    async def _counting(self) -> None:
        """Count what waits."""
        counted = True
        while True:
            try:
                with untraced():
                    await self._count()
                counted = True
            except Exception as error:  # whatever a driver raises means the same: the database is down
                if counted:
                    _log.warning("the inbox cannot be counted (%s); trying again", type(error).__qualname__)
                counted = False
            await asyncio.sleep(_COUNT_EVERY_S)

    async def _forget(self) -> None:
        """Forget what is old: at the start, and then from time to time."""
        rows_h, bodies_h = self._options.row_retention_h, self._options.body_retention_h
        await self._in_slices(lambda session: inbox.forget_bodies(session, bodies_h))
        while True:
            await self._in_slices(lambda session: inbox.forget_rows(session, rows_h))
            await asyncio.sleep(_PRUNE_EVERY_S)
            if bodies_h > 0:  # else none is kept
                await self._in_slices(lambda session: inbox.forget_bodies(session, bodies_h))

    async def _in_slices(self, forget: Callable[[AsyncSession], Awaitable[bool]]) -> None:
        more = True
        try:
            while more:
                with untraced():
                    async with self._database.transaction() as session:
                        more = await forget(session)
                await asyncio.sleep(0.05)  # others write, too
            _log.debug("what is old was removed from the inbox")
        except Exception as error:  # whatever a driver raises means the same: the database is down
            _log.warning("old updates could not be removed (%s)", type(error).__qualname__)

    async def _count(self) -> None:
        async with self._database.reading() as session:
            self._depth = await inbox.depth(session)
        self.door.know_depth(self._depth)
