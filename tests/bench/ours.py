"""The reference bot with Tracegram's telemetry, set up as `app.main` does: every signal to the sink, and the recorder.

`Intake` and `Feed` do as in the bot, with a memory in place of the inbox: what a database costs is not the question
here. The span at the door is one more than the naive variant has.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from app.bot.feed import Feed
from app.bot.intake import Intake
from app.bot.middlewares.measure import Measure
from app.db.session import Database
from app.telemetry.catalogue import DOWNLOAD_SUCCESS
from app.telemetry.events import tell
from app.telemetry.instruments import count
from app.telemetry.setup import TelemetryConfig, setup
from app.updates.claims import Claimed
from app.updates.door import Door, Stored
from app.updates.envelope import read
from app.updates.inbox import Arrival
from app.updates.lease import Lease
from app.updates.turn import Turn
from tests.bench import reference_bot
from tests.bench.variants import Wiring

_DEFAULT_INTERVAL_MS = TelemetryConfig().export_interval_ms


class _Probe:
    """Tells as the bot's own events do, under names that its contract does not know."""

    def tell(self, name: str, **fields: str | int) -> None:
        """Log one event."""
        tell(name, logging.INFO, fields)

    def delivered(self) -> None:
        """Count one delivery."""
        count(DOWNLOAD_SUCCESS, format="mp3", quality="192k")


class _Memory(Door):
    """The door without what is behind it."""

    def __init__(self) -> None:
        self.last: Arrival

    async def put(self, arrival: Arrival) -> Stored:
        """Keep one update."""
        self.last = arrival
        return Stored()


class Ours:
    """The bot with our telemetry."""

    def __init__(self, wiring: Wiring) -> None:
        config = TelemetryConfig(
            service_name="bench",
            otlp_endpoint=wiring.sink,
            export_interval_ms=wiring.interval_ms or _DEFAULT_INTERVAL_MS,
            hash_key="hash-key-of-the-benchmark",
            secrets=(reference_bot.TOKEN, "webhook-secret-of-the-benchmark"),
        )
        self._telemetry = setup(config, log_stream=wiring.lines)
        dispatcher, bot = reference_bot.build(_Probe())
        dispatcher.update.outer_middleware(Measure(60))
        self._database = Database("sqlite+aiosqlite:///unused.db")
        self._door = _Memory()
        self._intake = Intake(self._door, Lease(self._database, 1, 4))
        self._feed = Feed(dispatcher, bot)

    async def feed(self, raw: bytes) -> None:
        """Process one update as Telegram posts it."""
        await self._intake.receive(read(raw), "webhook")
        arrival = self._door.last
        envelope = arrival.envelope
        claimed = Claimed(
            envelope.update_id, envelope.kind, envelope.body, arrival.traceparent, 1, False, datetime.now(UTC)
        )
        await self._feed.process(Turn(claimed, 1, self._database))

    def flush(self) -> None:
        """Export everything that is still waiting."""
        self._telemetry.flush()

    def close(self) -> None:
        """Stop the exporters."""
        self._telemetry.shutdown()
