"""ACTIVE or PASSIVE: one instance at a time holds the row of `lock_heartbeat`, and only it processes updates.

Every take-over raises the epoch, the fencing token that each change of the inbox names. A graceful stop gives the
lease away at once and may still finish, for a while, what it had begun.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span
from sqlalchemy.sql.elements import ColumnElement

from app.db.clock import clock
from app.db.models import LockRow
from app.db.session import Database
from app.grace import wait_at_most
from app.telemetry import tracer
from app.telemetry.catalogue import LOCK_TAKEOVERS
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count
from app.telemetry.untraced import untraced
from app.updates.leaserow import Seen, change, see

_log = logging.getLogger(__name__)

State = Literal["ACTIVE", "PASSIVE"]
How = Literal["free", "handed over", "expired"]
#: What leads: it gets the epoch, and an event that says "begin nothing new".
Lead = Callable[[int, asyncio.Event], Awaitable[None]]

#: How long a stopping leader may finish what it began.
DRAIN_S = 8.0
#: A look at the lease at least this often, for those whom no bell reaches.
_LOOK_S = 0.25


class Lease:
    """Keeps the lease, or waits for it."""

    def __init__(self, database: Database, heartbeat_s: float, expiry_s: float) -> None:
        self._database = database
        self._heartbeat_s = heartbeat_s
        self._expiry_s = expiry_s
        self._me = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._look = asyncio.Event()
        self._renewed = 0.0
        self._began = time.monotonic()
        #: The epoch of a take-over that is under way: cancelled, nobody has heard whether it was committed.
        self._taking: int | None = None
        self.state: State = "PASSIVE"
        self.seen: Seen | None = None
        self._seen_at = 0.0
        #: Since when the last heartbeat is the same, by this process's own clock.
        self._silent_since = 0.0
        #: The trace of the take-over, in which the end of this leadership is told, too.
        self._trace: Span = trace.INVALID_SPAN

    def look(self) -> None:
        """Look at the lease now: something happened to it."""
        self._look.set()

    async def run(self, lead: Lead) -> None:
        """Wait for the lease, lead while it is held, and so on; a cancellation hands it over."""
        while True:
            try:
                epoch = await self._acquire()
            except asyncio.CancelledError:
                await self._give_back()
                raise
            stop = asyncio.Event()
            leading = asyncio.create_task(_run(lead, epoch, stop))  # noqa: TID251  # awaited below on every path
            try:
                await self._hold(epoch, leading)
            except asyncio.CancelledError:
                stop.set()
                await self._hand_over(epoch, leading)
                raise
            finally:
                self.state = "PASSIVE"
                leading.cancel()
                await asyncio.wait({leading})
            if not leading.cancelled() and (error := leading.exception()):
                raise error
            self._tell(Event.LOCK_LOST, epoch)

    def health(self) -> dict[str, Any]:
        """The fields of `/health`."""
        seen = self.seen
        age = time.monotonic() - self._seen_at
        held = seen is not None and seen.holder is not None
        return {
            "lock_state": self.state,
            "lock_epoch": seen.epoch if seen else None,
            "lock_holder_pid": seen.holder_pid if seen and held else None,
            "lock_idle_duration": round(seen.now + age - seen.taken_at, 1) if seen and held else None,
            "lock_heartbeat_age": round(seen.now + age - seen.last_heartbeat, 1) if seen and held else None,
            "lock_takeover_event": seen.takeover if seen else None,
            "last_heartbeat": _iso(seen.last_heartbeat) if seen and held else None,
        }

    def heartbeat_age_s(self) -> float:
        """Seconds since the holder's last heartbeat, as far as this instance knows; without one, since the start."""
        if self.seen is None or not self.seen.epoch:
            return time.monotonic() - self._began  # nobody has been ACTIVE yet, for all that is known here
        return max(self.seen.now - self.seen.last_heartbeat, 0.0) + time.monotonic() - self._seen_at

    async def _acquire(self) -> int:
        complained = False
        while True:
            self._look.clear()
            pause = _LOOK_S
            try:
                async with asyncio.timeout(self._expiry_s):
                    seen = await self._see()
                    if seen.expires_at <= seen.now or self._is_silent(seen):
                        if await self._take(seen):
                            return seen.epoch + 1
                    else:
                        pause = min(max(seen.expires_at - seen.now, 0.02), _LOOK_S)
                complained = False
            except Exception as error:  # whatever a driver raises means the same: the database is down
                if not complained:
                    _log.warning("the lease cannot be read (%s); trying again", type(error).__qualname__)
                complained = True
            await wait_at_most(self._look, pause)

    async def _see(self) -> Seen:
        with untraced():
            async with self._database.reading() as session:
                seen = await see(session)
        self._seen_at = time.monotonic()
        if self.seen is None or self.seen.heartbeat != seen.heartbeat:
            self._silent_since = self._seen_at
        self.seen = seen
        return seen

    def _is_silent(self, seen: Seen) -> bool:
        """Whether the holder was silent for as long as its lease lasts: the database's clock may have been put back."""
        return self._seen_at - self._silent_since >= seen.lasts_s > 0

    async def _take(self, seen: Seen) -> bool:
        """Take a lease that has run out, unless another was faster. The failover is a trace of its own."""
        how: How = "free" if not seen.epoch else "expired" if seen.holder else "handed over"
        told = f"epoch {seen.epoch + 1}: {how}, from pid {seen.holder_pid}" if seen.epoch else "first start"
        started = time.monotonic()
        silent = seen.last_heartbeat if self._is_silent(seen) else None
        # Only the one before may drain, and only when it gave the lease away itself.
        drain: dict[str, float] = {} if how == "handed over" else {"drain_until": 0.0}
        self._taking = seen.epoch + 1
        with untraced():
            changed = await self._change(
                # A heartbeat since the last look keeps the lease.
                (LockRow.epoch == seen.epoch)
                & ((LockRow.expires_at <= clock()) | (LockRow.last_heartbeat == silent)),
                holder=self._me,
                holder_pid=os.getpid(),
                epoch=seen.epoch + 1,
                last_heartbeat=clock(),
                expires_at=clock() + self._expiry_s,
                taken_at=clock(),
                takeover=told,
                **drain,
            )
        self._taking = None
        if not changed:
            return False
        self._renewed = self._seen_at = started
        self.seen = replace(
            seen,
            holder=self._me,
            holder_pid=os.getpid(),
            epoch=seen.epoch + 1,
            last_heartbeat=seen.now,
            expires_at=seen.now + self._expiry_s,
            taken_at=seen.now,
            takeover=told,
        )
        self.state = "ACTIVE"
        with tracer.start_as_current_span("lease takeover", context=Context()) as span:
            span.set_attributes({"tracegram.lease.epoch": seen.epoch + 1, "tracegram.lease.how": how})
            self._trace = span
            silent_s = max(seen.now - seen.last_heartbeat, self._seen_at - self._silent_since)
            silent_ms = round(silent_s * 1000, 1) if seen.epoch else 0.0
            emit(Event.LOCK_ACQUIRED, epoch=seen.epoch + 1, how=how, silent_ms=silent_ms)
        if how == "expired":
            count(LOCK_TAKEOVERS)
        return True

    async def _hold(self, epoch: int, leading: asyncio.Task[None]) -> None:
        """Renew the lease until it is lost, or what leads has ended."""
        while not leading.done():
            await asyncio.wait({leading}, timeout=self._heartbeat_s)
            if not await self._renew(epoch):
                return

    async def _renew(self, epoch: int) -> bool:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._heartbeat_s):
                with untraced():
                    kept = await self._change(
                        (LockRow.epoch == epoch) & (LockRow.holder == self._me),
                        last_heartbeat=clock(),
                        expires_at=clock() + self._expiry_s,
                    )
                if kept:
                    self._renewed = started
                    await self._see()
                    _log.debug("the lease of epoch %d was renewed", epoch)
                return kept
        except Exception as error:  # whatever a driver raises means the same: no heartbeat this time
            _log.debug("the lease of epoch %d was not renewed (%s)", epoch, type(error).__qualname__)
            return time.monotonic() - self._renewed < self._expiry_s

    async def _give_back(self) -> None:
        """Free what a stop has left half taken: it would run out by itself, and nobody would lead until then."""
        if self._taking is None:
            return
        try:
            async with asyncio.timeout(self._heartbeat_s + 1):
                # Where its COMMIT is still on its way, its row is locked, and this waits for it. The leader before may drain on.
                await self._change(
                    (LockRow.epoch == self._taking) & (LockRow.holder == self._me),
                    holder=None,
                    expires_at=0.0,
                    drain_until=LockRow.drain_until,
                )
        except Exception as error:  # the database is down: the lease runs out by itself
            _log.warning("a lease that was just taken could not be given back (%s)", type(error).__qualname__)

    async def _hand_over(self, epoch: int, leading: asyncio.Task[None]) -> None:
        """Free the lease for others at once, then finish what runs; what does not finish in time is theirs."""
        try:
            async with asyncio.timeout(self._heartbeat_s + 1):
                await self._change(
                    LockRow.epoch == epoch, holder=None, expires_at=0.0, drain_until=clock() + DRAIN_S
                )
            self._tell(Event.LOCK_RELEASED, epoch)
        except Exception as error:  # the database is down: the lease runs out by itself
            _log.warning("the lease could not be handed over (%s)", type(error).__qualname__)
        self.state = "PASSIVE"
        await asyncio.wait({leading}, timeout=DRAIN_S)
        try:
            async with asyncio.timeout(1):
                # Not when the next one hands over itself by now: this is its time to drain.
                ours = (LockRow.epoch == epoch) | ((LockRow.epoch == epoch + 1) & LockRow.holder.is_not(None))
                await self._change(ours, drain_until=0.0)
        except Exception:  # its time runs out by itself
            _log.info("the end of the draining was not told")

    def _tell(self, event: Event, epoch: int) -> None:
        with trace.use_span(self._trace):
            emit(event, epoch=epoch)

    async def _change(self, which: ColumnElement[bool], **values: object) -> bool:
        with untraced():
            async with self._database.transaction() as session:
                return await change(session, which, **values)


async def _run(lead: Lead, epoch: int, stop: asyncio.Event) -> None:
    await lead(epoch, stop)


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
