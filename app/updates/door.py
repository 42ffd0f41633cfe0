"""Where updates are stored: what arrives while a commit is under way goes into the next one, all in one insert.

Nothing waits when nothing else comes: the first update after a quiet moment is committed at once, alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.db.line import Line
from app.db.session import Database
from app.errors import InboxFull, InboxUnavailable
from app.telemetry.untraced import untraced
from app.updates import inbox
from app.updates.envelope import EXPRESS, URGENT
from app.updates.inbox import Arrival

_log = logging.getLogger(__name__)

_GROUP = 200
#: A database that takes longer is down: Telegram brings the update again.
_PATIENCE_S = 2.0
#: The same for a SQLite that another writer holds: nothing can interrupt that wait.
_BUSY_S = 1.5


@dataclass(frozen=True, slots=True)
class Stored:
    """An update is in the database: newly, or `first` is the `traceparent` of its first receipt."""

    first: str | None = None


#: Called after each commit of something new, with the door's connection and whether something urgent was among it.
OnStored = Callable[[Line, bool], Awaitable[None]]


class Door:
    """Stores updates, in groups."""

    def __init__(self, database: Database, limit: int, *, on_stored: OnStored) -> None:
        self._line = Line(database, busy_s=_BUSY_S)
        self._limit = limit
        self._on_stored = on_stored
        self._waiting: list[tuple[Arrival, asyncio.Future[Stored]]] = []
        self._arrived = asyncio.Event()
        self._depth = 0
        self._open = False
        self._hangs = False

    @property
    def is_open(self) -> bool:
        """Whether updates are taken."""
        return self._open

    def know_depth(self, depth: int) -> None:
        """Tell how many updates the inbox holds; this instance counts on from there."""
        self._depth = depth

    async def put(self, arrival: Arrival) -> Stored:
        """Store one update; it is committed when this returns.

        Raises `InboxFull` when too many wait, `InboxUnavailable` when the database does not take it.
        """
        if not self._open or self._hangs:
            raise InboxUnavailable
        # A checkout has ten seconds in all, and waits behind nobody anyway.
        if self._depth + len(self._waiting) >= self._limit and arrival.envelope.kind not in EXPRESS:
            raise InboxFull
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        self._arrived.set()
        return await future

    async def run(self) -> None:
        """Commit group after group, until cancelled; nothing is taken before and after."""
        self._open = True
        try:
            with untraced():
                while True:
                    await self._arrived.wait()
                    group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
                    if not self._waiting:
                        self._arrived.clear()
                    await self._store(group)
        finally:
            self._open = False
            _fail(self._waiting)
            await self._line.close()

    async def _store(self, group: list[tuple[Arrival, asyncio.Future[Stored]]]) -> None:
        arrivals = [arrival for arrival, _ in group]
        # A connection that hangs takes seconds more to be given up: nobody waits for that.
        refusing = asyncio.get_running_loop().call_later(_PATIENCE_S, self._refuse, group)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                new, first = await self._commit(arrivals)
                _log.debug("%d updates were stored in one commit, %d of them new", len(arrivals), len(new))
                told = bool(new)
                self._answer(group, new, first)
                # Within the same time: what came meanwhile waits for this, too.
                if told:
                    await self._on_stored(self._line, any(a.envelope.kind in URGENT for a in arrivals))
        except asyncio.CancelledError:
            _fail(group)
            raise
        except Exception:  # whatever a driver raises means the same: Telegram has to bring these again
            self._refuse(group)
        finally:
            refusing.cancel()
            self._hangs = False

    def _answer(
        self, group: list[tuple[Arrival, asyncio.Future[Stored]]], new: set[int], first: dict[int, str]
    ) -> None:
        self._depth += len(new)
        for arrival, future in group:
            number = arrival.envelope.update_id
            known = Stored() if number in new else Stored(first.get(number, ""))
            new.discard(number)
            if not future.done():
                future.set_result(known)

    def _refuse(self, group: list[tuple[Arrival, asyncio.Future[Stored]]]) -> None:
        """Fail whom of the group nobody answered and what came since, which would only wait for the same; and what comes until it is over."""
        self._hangs = True
        _fail(group)
        late, self._waiting = self._waiting, []
        self._arrived.clear()
        _fail(late)

    async def _commit(self, arrivals: list[Arrival]) -> tuple[set[int], dict[int, str]]:
        new = await inbox.store(self._line, arrivals)
        known = [a.envelope.update_id for a in arrivals]
        if len(new) == len(known):
            return new, {}
        first = await inbox.first_traceparents(self._line, known)
        # Stored by a try of which nothing was heard: its receipt is this one.
        return new | {
            a.envelope.update_id for a in arrivals if a.traceparent == first.get(a.envelope.update_id)
        }, first


def _fail(group: list[tuple[Arrival, asyncio.Future[Stored]]]) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(InboxUnavailable())
