"""What this process uses, by the names of OpenTelemetry's conventions, read from Linux when somebody collects."""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.telemetry.catalogue import PROCESS_CPU, PROCESS_FILES, PROCESS_MEMORY, PROCESS_THREADS
from app.telemetry.instruments import observe

_SELF = Path("/proc/self")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def observe_process() -> None:
    """Let the gauges tell from now on."""
    observe(PROCESS_CPU, time.process_time)
    observe(PROCESS_MEMORY, _resident_bytes)
    observe(PROCESS_FILES, lambda: _entries("fd") - 1)  # without the one that lists them
    observe(PROCESS_THREADS, lambda: _entries("task"))


def _resident_bytes() -> float:
    # Sizes in pages: total, resident, shared, ... (man 5 proc_pid_statm)
    return int((_SELF / "statm").read_text(encoding="ascii").split()[1]) * _PAGE


def _entries(folder: str) -> float:
    return len(os.listdir(_SELF / folder))
