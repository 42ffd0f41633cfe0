"""Faults between two statements: after so many statements and commits a process kills or freezes itself.

A signal from outside hits a process mostly while it waits. These hit it where it hurts: with a transaction half done,
or committed and not told to anybody.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.db.session import Database


@dataclass(frozen=True, slots=True)
class Fault:
    """Send `number` (SIGKILL or SIGSTOP) to oneself at the boundary after `after` others."""

    number: int
    after: int


def plant(fault: Fault, *databases: Database) -> None:
    """Count the boundaries of this process: before and after each statement, before and after each commit."""
    left = fault.after

    def boundary(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), fault.number)
            assert fault.number == signal.SIGSTOP, "nothing survives SIGKILL"

    for engine in (database.engine.sync_engine for database in databases):
        event.listen(engine, "before_cursor_execute", boundary)
        event.listen(engine, "after_cursor_execute", boundary)
        event.listen(engine, "commit", boundary)
    event.listen(Session, "after_commit", boundary)
