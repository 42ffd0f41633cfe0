"""The three ways to run the reference bot, each behind the same three functions. One variant a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TextIO

from tests.bench import reference_bot

Name = Literal["bare", "ours", "naive"]
NAMES: tuple[Name, ...] = ("bare", "ours", "naive")


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the signals go. `interval_ms` is the pause between exports; None leaves each variant its own."""

    sink: str
    lines: TextIO
    interval_ms: int | None = None


class Variant(Protocol):
    """A bot that takes updates."""

    async def feed(self, raw: bytes) -> None:
        """Process one update as Telegram posts it."""

    def flush(self) -> None:
        """Export everything that is still waiting."""

    def close(self) -> None:
        """Stop what runs beside the event loop."""


class Silent:
    """The probe of a bot without telemetry."""

    def tell(self, name: str, **fields: str | int) -> None:
        """Say nothing."""

    def delivered(self) -> None:
        """Count nothing."""


class Bare:
    """Stock aiogram, no telemetry."""

    def __init__(self) -> None:
        self._dispatcher, self._bot = reference_bot.build(Silent())

    async def feed(self, raw: bytes) -> None:
        """Process one update as Telegram posts it."""
        await self._dispatcher.feed_update(self._bot, reference_bot.parsed(raw, self._bot))

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing runs."""


def start(name: Name, wiring: Wiring) -> Variant:
    """Start one variant. Only its own telemetry is imported."""
    if name == "bare":
        return Bare()
    if name == "ours":
        from tests.bench.ours import Ours

        return Ours(wiring)
    from tests.bench.naive import Naive

    return Naive(wiring)
