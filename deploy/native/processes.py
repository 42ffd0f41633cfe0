"""Starts and ends processes of the stack, each in a group of its own with a log file, and waits until they answer.

A process is remembered by its number and the time of its start, so that a number that was given anew is never ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

_PATIENCE_S = 90.0
#: The bot drains for 8 s. Tempo 2.9 hangs at its end once it was asked for a trace; what it has is on disk by then.
_STOP_PATIENCE_S = 10.0
_LINES_SHOWN = 15
_START_TIME = 19  # The 22nd column of /proc/<pid>/stat, counted from behind the name.


class NotStarted(Exception):
    """A program did not come up; the text holds the last lines of its log and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for sure: its number, and when it started (in ticks since the machine did)."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and waits for its parent does not."""
        state = _state(self.pid)
        return state is not None and state[0] != "Z" and int(state[_START_TIME]) == self.started

    def end(self) -> None:
        """Ask it to stop, with all its children, and insist after 10 s."""
        if self.alive():
            os.killpg(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_PATIENCE_S
        while self.alive():
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.05)


@dataclass(slots=True)
class Process:
    """A started program: its name, what it writes, and the process."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]
    identity: Identity

    def stop(self) -> None:
        """End it as an operator would, and wait for it."""
        self.identity.end()
        self.popen.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    async def ready(self, address: str) -> None:
        """Wait until it answers 200 there. Raises `NotStarted` when it ends before, or takes longer than 90 s."""
        deadline = time.monotonic() + _PATIENCE_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while self.popen.poll() is None:
                try:
                    async with session.get(address) as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass  # It does not listen yet.
                if time.monotonic() > deadline:
                    raise NotStarted(f"{self.name} was not ready after {_PATIENCE_S:.0f} s:\n{self.tail()}")
                await asyncio.sleep(0.1)
        raise NotStarted(f"{self.name} ended with {self.popen.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines that it wrote, and where the rest is."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
        return "\n".join([*(f"  {line[:300]}" for line in lines), f"The whole log is {self.log}."])


def start(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path | None = None
) -> Process:
    """Start a program in a session of its own, with nothing but `environment`; it outlives this process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = identity(popen.pid)
    if found is None:
        raise NotStarted(f"{name} is gone before it could be looked at")
    return Process(name, log, popen, found)


def identity(pid: int) -> Identity | None:
    """The process that has this number now."""
    state = _state(pid)
    return None if state is None else Identity(pid, int(state[_START_TIME]))


def _state(pid: int) -> list[str] | None:
    """What /proc says of a process, from behind its name, which may hold anything; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
