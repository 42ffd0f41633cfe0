"""What the ACTIVE instance does: takes updates whose turn it is, processes them side by side, and writes how they ended.

A pass writes all endings in one statement and takes claims in another, whatever has come together since the last one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from app.db.line import Line
from app.db.models import UpdateState
from app.db.session import Database
from app.grace import wait_at_most
from app.telemetry.untraced import untraced
from app.updates import claims
from app.updates.bell import UPDATES, ring
from app.updates.claims import Claimed, GivenUp, Settlement
from app.updates.ports import Processor
from app.updates.turn import Turn

_log = logging.getLogger(__name__)

#: Places that only what cannot wait may take (`EXPRESS`).
_RESERVED = 8
#: A look at least this often: the bell of another instance may be lost.
_LOOK_S, _LOOK_UNHEARD_S = 1.0, 0.25
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
_REQUEUE_EVERY_S = 1.0
#: While something runs, so much comes together before the next pass; after a quiet moment nothing waits.
_BREATH_S = 0.005


@dataclass(slots=True)
class _Found:
    """What one pass brought: updates to process, presses to answer (body and `traceparent`), updates given up."""

    claimed: list[Claimed] = field(default_factory=list)
    pressed: list[tuple[str, str]] = field(default_factory=list)
    hopeless: list[GivenUp] = field(default_factory=list)


class Leader:
    """Processes updates while this instance is ACTIVE."""

    def __init__(
        self,
        database: Database,
        processor: Processor,
        *,
        concurrency: int,
        keep_body: bool,
    ) -> None:
        self._database = database
        self._line = Line(database)
        self._processor = processor
        self._concurrency = concurrency
        self._keep_body = keep_body
        self._wake = asyncio.Event()
        self._urgent_came = True
        self._freed = False
        self._settlements: list[Settlement] = []
        self._requeued_at = 0.0
        self._running: set[int] = set()

    @property
    def running(self) -> int:
        """Updates that are being processed, or whose end is not written yet."""
        return len(self._running)

    def wake(self, *, urgent: bool = False) -> None:
        """Something came in, or became free. `urgent`: a checkout or a press may be waiting behind something."""
        self._urgent_came |= urgent
        self._wake.set()

    async def lead(self, epoch: int, stop: asyncio.Event) -> None:
        """Process updates until `stop` is set, then finish those that run. A cancellation drops them."""
        try:
            await self._lead(epoch, stop)
        finally:
            await self._line.close()

    async def _lead(self, epoch: int, stop: asyncio.Event) -> None:
        self._settlements.clear()
        self._requeued_at = 0.0
        self._running.clear()
        self._freed = False
        look = _LOOK_S if self._database.notifies else _LOOK_UNHEARD_S
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self._wake_at(stop))
            failures = 0
            # One more pass after the last end: the next leader has to hear of it.
            while not stop.is_set() or self._running or self._freed:
                self._wake.clear()
                found = _Found()
                try:
                    await self._pass(epoch, found, claiming=not stop.is_set())
                    pause, failures = 0.0, 0
                except Exception as error:  # whatever a driver raises means the same: the database is down
                    if not failures:
                        _log.warning("the inbox cannot be read (%s); trying again", type(error).__qualname__)
                    pause = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
                    failures += 1
                # Also when the pass failed on its way: what it had found by then is written in the database.
                self._begin(group, epoch, found)
                if pause:
                    await asyncio.sleep(pause)
                    continue
                # Whatever makes another pass worth while wakes it: an arrival, an end.
                await wait_at_most(self._wake, look)
                if self._running:
                    await asyncio.sleep(_BREATH_S)
            stopping.cancel()

    def _begin(self, group: asyncio.TaskGroup, epoch: int, found: _Found) -> None:
        for one in found.claimed:
            self._running.add(one.update_id)
            group.create_task(self._run(Turn(one, epoch, self._database, self._keep_body)))
        for press in found.pressed:
            group.create_task(self._processor.hurry(*press))
        for lost in found.hopeless:
            group.create_task(self._tell_given_up(lost))

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _pass(self, epoch: int, found: _Found, *, claiming: bool) -> None:
        """Write what ended, take what is due: it is in `found`, also when this raises."""
        settlements = self._settlements[:]
        freed, self._freed = self._freed, False
        now = asyncio.get_running_loop().time()
        sweeping = now - self._requeued_at >= _REQUEUE_EVERY_S
        # Of what came in elsewhere a pooler tells nobody: hence also with each sweep.
        looking = claiming and (self._urgent_came or sweeping)
        self._urgent_came = False
        with untraced():
            if settlements:
                await claims.settle(self._line, epoch, settlements, keep_body=self._keep_body)
                del self._settlements[: len(settlements)]
                self._running -= {one.update_id for one in settlements}
                for one in settlements:
                    if one.state is UpdateState.WAITING:
                        asyncio.get_running_loop().call_later(one.retry_in_s, self.wake)
            # What has ended here frees its chat for the next leader. Nothing else is told: this instance hears it, too.
            if not claiming and freed:
                await ring(self._line, UPDATES)
            if claiming and sweeping:
                async with self._database.transaction() as session:
                    found.hopeless = await claims.requeue(session, epoch, self._running)
                self._requeued_at = now
            if looking:
                found.claimed = await self._claim_express(epoch)
            free = self._concurrency - len(self._running) - len(found.claimed)
            if claiming and free > 0:
                found.claimed += await claims.claim(self._line, epoch, free)
            if looking:
                found.pressed = await self._late(epoch)
            if found.claimed:
                running = len(self._running) + len(found.claimed)
                _log.debug("%d updates were claimed; %d run by now", len(found.claimed), running)

    async def _late(self, epoch: int) -> list[tuple[str, str]]:
        """Presses that have to wait. Without an answer they are served all the same: what was claimed goes first."""
        try:
            return await claims.hurry(self._line, epoch)
        except Exception as error:  # whatever a driver raises means the same: the database is down
            _log.info("waiting presses cannot be looked for (%s)", type(error).__qualname__)
            return []

    async def _claim_express(self, epoch: int) -> list[Claimed]:
        """What waits for nobody, before whoever has waited longest is given a place."""
        places = max(self._concurrency + _RESERVED - len(self._running), 0)
        claimed = await claims.claim(self._line, epoch, places, express_only=True) if places else []
        # There may be more of them than places.
        self._urgent_came |= len(claimed) == places
        return claimed

    async def _run(self, turn: Turn) -> None:
        """Process one update; nothing that it raises ends the others."""
        try:
            await self._processor.process(turn)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_stopped():
                raise
            # Also when only what it waited for was cancelled: a row without an end would hold up its chat for ever.
            _log.exception("an update failed, and so did the answer to its failure")
            turn.try_again(error, passing=False)
        settlement = turn.settlement()
        if settlement is None:
            self._running.discard(turn.claimed.update_id)
        else:
            self._settlements.append(settlement)
        self._freed = True
        self.wake()
        if turn.failed:
            # Last: Telegram may be slow, and the chat need not wait for that. A crash in between costs the admins the message;
            # the row says `set_aside` all the same.
            await self._tell_given_up(turn.given_up())

    async def _tell_given_up(self, update: GivenUp) -> None:
        """The row says it already: whatever goes wrong with the news ends nothing else."""
        try:
            await self._processor.give_up(update)
        except Exception as error:
            _log.warning("nobody was told of an update that was set aside: %s", type(error).__qualname__)


def _is_stopped() -> bool:
    """Whether somebody cancelled this very task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
