"""The reference bot with Tracegram's telemetry, set up as `app.main` does: every signal to the sink, and the recorder.

`Intake` reads and feeds the update, so the span at the door is one more than the naive variant has.
"""

from __future__ import annotations

import logging

from app.bot.intake import Intake
from app.bot.middlewares.measure import Measure
from app.telemetry.activity import active_users
from app.telemetry.catalogue import ACTIVE_USERS, DOWNLOAD_SUCCESS
from app.telemetry.instruments import count, observe
from app.telemetry.setup import TelemetryConfig, setup
from tests.bench import reference_bot
from tests.bench.variants import Wiring

_log = logging.getLogger("app.events")

_DEFAULT_INTERVAL_MS = TelemetryConfig().export_interval_ms


class _Probe:
    """Tells as the bot's own events do, under names that its contract does not know."""

    def tell(self, name: str, **fields: str | int) -> None:
        """Log one event."""
        _log.info(name, extra={"event_name": name, "fields": fields})

    def delivered(self) -> None:
        """Count one delivery."""
        count(DOWNLOAD_SUCCESS, format="mp3")


class Ours:
    """The bot with our telemetry."""

    def __init__(self, wiring: Wiring) -> None:
        observe(ACTIVE_USERS, active_users)
        config = TelemetryConfig(
            service_name="bench",
            otlp_endpoint=wiring.sink,
            export_interval_ms=wiring.interval_ms or _DEFAULT_INTERVAL_MS,
            hash_key="hash-key-of-the-benchmark",
            secrets=(reference_bot.TOKEN, "webhook-secret-of-the-benchmark"),
        )
        self._telemetry = setup(config, log_stream=wiring.lines)
        dispatcher, bot = reference_bot.build(_Probe())
        dispatcher.update.outer_middleware(Measure())
        self._intake = Intake(dispatcher, bot)

    async def feed(self, raw: bytes) -> None:
        """Process one update as Telegram posts it."""
        await self._intake.accept(raw)

    def flush(self) -> None:
        """Export everything that is still waiting."""
        self._telemetry.flush()

    def close(self) -> None:
        """Stop the exporters."""
        self._telemetry.shutdown()
