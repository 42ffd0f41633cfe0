"""The stack in a hurry: what takes minutes in operation takes seconds, so that a test sees rates, objectives and alerts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.native.run import Stack, running
from tests.stack.backends import reload

#: Every trace is kept, and soon.
_SETTINGS = {"SAMPLING_PERCENT": "100", "SAMPLING_WAIT": "1s", "SPAN_METRICS_INTERVAL": "1s"}


@asynccontextmanager
async def hurried(folder: Path, *, alerts: bool = False) -> AsyncIterator[Stack]:
    """All programs; Prometheus scrapes and evaluates each second, and with `alerts` they wait for five instead of minutes."""
    async with running(folder, settings=_SETTINGS) as stack:
        config = folder / "prometheus" / "config"
        for path in [config / "prometheus.yaml", *(config / "rules").glob("*.yaml")]:
            text = re.sub(r"(interval|scrape_timeout): \d+s", r"\1: 1s", path.read_text(encoding="utf-8"))
            text = re.sub(r"\bfor: \w+", "for: 5s", text) if alerts else text
            path.write_text(text, encoding="utf-8")
        await reload(stack)
        yield stack
