"""The thread that exports: takes batches from the queues, encodes them, sends them, and tries again when that may help.

An update only ever puts something into a queue. A Collector that hangs, fails or is away for long costs the newest
`queues.MOST` items of each signal at most; every item that went lost is counted in `dropped`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Lock, Thread
from typing import Any, Generic, Protocol, TypeVar

from app.telemetry.otlp.queues import Queue
from app.telemetry.otlp.sending import NotTaken

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

SIGNALS = ("spans", "logs", "metrics")

_BATCH = 1024
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 15.0
#: Tries of one batch: ten minutes nearly, after which newer ones have their turn.
_TRIES = 40


class Place(Protocol):
    """Where bodies go."""

    def __call__(self, body: Any, /) -> None:
        """Send one body. Raises `NotTaken`."""

    def close(self) -> None:
        """Let go of what it holds."""


class Work(Protocol):
    """What the thread does for one signal."""

    signal: str

    @property
    def dropped(self) -> int:
        """How much went lost."""

    @property
    def waiting(self) -> int:
        """How much waits."""

    def work(self, *, patient: bool) -> None:
        """Send what waits until nothing does or the Collector refuses. An impatient one heeds no pause."""

    def give_up(self) -> None:
        """Count what still waits as lost, and close the place: nothing is sent any more."""


class Channel(Generic[_T]):
    """One signal on its way to one place: a queue, what turns a batch into a body, and what sends that."""

    def __init__(
        self,
        signal: str,
        encode: Callable[[Sequence[_T]], Any],
        place: Place,
        queue: Queue[_T] | None = None,
    ) -> None:
        self.signal = signal
        self.queue: Queue[_T] = Queue() if queue is None else queue
        self._encode = encode
        self._place = place
        self._lost = 0
        #: Items that were taken.
        self.sent = 0
        self._waiting: tuple[Any, int] | None = None
        self._tries = 0
        self._not_before = 0.0
        self._complained = False

    @property
    def dropped(self) -> int:
        """How many items went lost, in the queue and on the way."""
        return self.queue.dropped + self._lost

    @property
    def waiting(self) -> int:
        """How many items wait, those of a batch that is tried again among them."""
        return len(self.queue) + (self._waiting[1] if self._waiting else 0)

    def work(self, *, patient: bool) -> None:
        """See `Work`."""
        while self._waiting is not None or len(self.queue):
            if self._waiting is None:
                self._take()
            elif patient and time.monotonic() < self._not_before:
                return
            if self._waiting is not None and not self._sent(*self._waiting):
                return

    def give_up(self) -> None:
        """See `Work`."""
        self._lost += self.waiting
        self.queue.take(len(self.queue))
        self._waiting = None
        self._place.close()

    def _take(self) -> None:
        batch = self.queue.take(_BATCH)
        try:
            self._waiting = self._encode(batch), len(batch)
        except Exception:  # telemetry that is wrong may cost telemetry, never the thread
            self._lost += len(batch)
            _log.exception("%s could not be encoded, and are lost", self.signal)

    def _sent(self, body: Any, items: int) -> bool:
        """Send one body. False when there is no use in going on now."""
        try:
            self._place(body)
        except Exception as error:
            refused = (
                error if isinstance(error, NotTaken) else NotTaken(type(error).__qualname__, again=False)
            )
            self._refused(refused, items)
            return False
        self.sent += items
        self._done()
        if self._complained:
            self._complained = False
            _log.warning("the Collector takes %s again; %d went lost so far", self.signal, self.dropped)
        return True

    def _refused(self, refused: NotTaken, items: int) -> None:
        self._tries += 1
        pause = min(_FIRST_PAUSE_S * 2 ** (self._tries - 1), _LONGEST_PAUSE_S)
        self._not_before = time.monotonic() + pause
        if not refused.again or self._tries >= _TRIES:
            self._lost += items
            self._done()
        if not self._complained:  # once for a whole outage: how much it costs is in the metric
            self._complained = True
            _log.warning("the Collector does not take %s (%s)", self.signal, refused)

    def _done(self) -> None:
        self._waiting = None
        self._tries = 0


class Exporter:
    """Does the work every `interval_s` and when much waits. `tell` hears each time what every signal lost so far."""

    def __init__(self, interval_s: float, tell: Callable[[Mapping[str, int]], None] = lambda _: None) -> None:
        self._interval_s = interval_s
        self._tell = tell
        self._channels: list[Work] = []
        self._wake = Event()
        self._stopped = False
        self._working = Lock()
        self._thread = Thread(target=self._run, name="telemetry-export", daemon=True)

    def add(self, channel: Work) -> None:
        """Serve this channel, too; before `start`."""
        self._channels.append(channel)
        if isinstance(channel, Channel):
            channel.queue.on_many = self._wake.set

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def flush(self) -> None:
        """Export what waits, in the thread of the caller. Blocks until the Collector answers, or for its timeout."""
        with self._working:
            self._work(patient=False)

    def shutdown(self) -> None:
        """Export what waits and stop. What the Collector does not take now is lost, and counted."""
        if self._stopped:
            return
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        for channel in self._channels:
            channel.give_up()

    def health(self) -> Mapping[str, int]:
        """For `/health`: what each signal lost, and how much waits in all."""
        lost = {f"{signal}_dropped": number for signal, number in self.dropped().items()}
        return {**lost, "queue": sum(channel.waiting for channel in self._channels)}

    def dropped(self) -> Mapping[str, int]:
        """What went lost by signal since the start."""
        lost = dict.fromkeys(SIGNALS, 0)
        for channel in self._channels:
            lost[channel.signal] += channel.dropped
        return lost

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            with self._working:
                self._work(patient=True)

    def _work(self, *, patient: bool) -> None:
        for channel in self._channels:
            channel.work(patient=patient)
        self._tell(self.dropped())
