"""One update's turn: what the handler needs of the inbox, and what becomes of the update.

The handler's transaction marks the update done, so that a crash at any point repeats either all of it or none. There
is one such transaction a turn.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import UpdateState
from app.db.session import Database
from app.errors import Reason, Superseded
from app.updates import claims
from app.updates.claims import Claimed, GivenUp, Settlement
from app.updates.patience import FAILURES, LONGEST_ASKED_S, goes_on, pause_s

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """One attempt at one update. Middlewares fill in `handler`, `outcome` and `reason` on the way."""

    claimed: Claimed
    epoch: int
    database: Database
    keep_body: bool = False
    handler: str = ""
    outcome: str = ""
    reason: str = ""
    #: Class of the error of an attempt that failed for good: the update is set aside, for people to look at.
    failed: str = ""
    settled: bool = False
    #: What stops the handler when it takes too long; it never stops a commit.
    deadline: asyncio.Timeout | None = None
    _retry_in_s: float | None = None
    _failures: int = 0
    _started: float = 0.0

    def __post_init__(self) -> None:
        self._started = time.perf_counter()
        self._failures = self.claimed.failures

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """The handler's transaction: at its end the update is marked done in it, once and for all.

        Raises `Superseded`, with everything rolled back, when this instance lost the lease meanwhile.
        """
        if self.settled:
            raise RuntimeError("one transaction a turn: the update is marked done in it")
        with ExitStack() as committing:
            async with self.database.transaction() as session:
                yield session
                done = self._settlement(UpdateState.DONE, "handled")
                if not await claims.finish(session, self.epoch, done, keep_body=self.keep_body):
                    raise Superseded
                # Stopped within COMMIT, a handler would be told as failed whose effects are there. The driver's time-outs hold.
                committing.enter_context(self.without_deadline())
            self.settled = True

    @contextmanager
    def without_deadline(self) -> Iterator[None]:
        """Let nothing stop the block that has a time-out of its own."""
        deadline = self.deadline
        if deadline is None or deadline.expired():
            yield
            return
        when = deadline.when()
        deadline.reschedule(None)
        try:
            yield
        finally:
            deadline.reschedule(when)

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed, and stops the handler."""
        return self.deadline is not None and self.deadline.expired()

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; none is far away."""
        when = self.deadline.when() if self.deadline is not None else None
        return math.inf if when is None else when - asyncio.get_running_loop().time()

    @property
    def waited_s(self) -> float:
        """Seconds since the update was received."""
        return (datetime.now(UTC) - self.claimed.received_at).total_seconds()

    def try_again(self, error: BaseException, *, passing: bool, not_before_s: float = 0.0) -> bool:
        """Whether the update will be tried again after this failure, and not before so many seconds (a day at most).

        A fault that is `passing` is the fault of a server, which others have, too: it is given much more time.
        """
        if self.settled or self.failed:
            return False
        if not passing:
            self._failures += 1
        attempt = self.claimed.attempt
        if not (goes_on(attempt, self.waited_s) if passing else self._failures < FAILURES):
            self.set_aside(error)
            return False
        pause = pause_s(attempt if passing else self._failures)
        self._retry_in_s = max(pause, min(not_before_s, LONGEST_ASKED_S))
        _log.debug(
            "attempt %d failed (%s, passing: %s), %d failures so far; again in %.1f s",
            attempt,
            type(error).__qualname__,
            passing,
            self._failures,
            self._retry_in_s,
        )
        return True

    def set_aside(self, error: BaseException) -> None:
        """Give the update up; what the handler's transaction has done stays done."""
        if not self.settled:
            self.failed = type(error).__qualname__

    def given_up(self) -> GivenUp:
        """What people are told of an update that failed for good."""
        update = self.claimed
        reason = self.reason or Reason.INTERNAL_ERROR
        return GivenUp(update.update_id, update.kind, update.traceparent, update.attempt, self.failed, reason)

    def settlement(self) -> Settlement | None:
        """What is left to be written; None when the handler's transaction has written it."""
        if self.settled:
            return None
        if self._retry_in_s is not None:
            return self._settlement(UpdateState.WAITING, "error")
        if self.failed:
            return self._settlement(UpdateState.SET_ASIDE, "error")
        return self._settlement(UpdateState.DONE, "handled")

    def _settlement(self, state: UpdateState, outcome: str) -> Settlement:
        return Settlement(
            self.claimed.update_id,
            state,
            handler=self.handler,
            outcome=self.outcome or outcome,
            reason=self.reason,
            duration_ms=round((time.perf_counter() - self._started) * 1000),
            failures=self._failures,
            retry_in_s=self._retry_in_s or 0.0,
        )
