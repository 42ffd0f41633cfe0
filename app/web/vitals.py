"""Asks the parts that `/health` asks, every five seconds, so that Prometheus sees what a monitor of `/health` would see."""

from __future__ import annotations

import asyncio

from app.telemetry.catalogue import HEALTH_STATE
from app.telemetry.instruments import Reading, observe
from app.web.routes.health import Checks, ask

_EVERY_S = 5.0


class Vitals:
    """What the gauge of the parts says; nothing before the first look."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._seen: Reading = None
        observe(HEALTH_STATE, lambda: self._seen)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            results = await ask(self._checks)
            self._seen = {part: float(fields is not None) for part, fields in results.items()}
            await asyncio.sleep(_EVERY_S)
