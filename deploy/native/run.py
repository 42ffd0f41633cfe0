"""Runs a chosen part of the stack: what the tests use, and what `up` is built on.

Data, logs and the copies of the configurations are kept below one folder; nothing outside of it is written.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.native import configure
from deploy.native.build import program
from deploy.native.ports import HOST, Ports, check, free
from deploy.native.processes import Process, start
from deploy.native.programs import PROGRAMS


@dataclass(slots=True)
class Stack:
    """A running part of the stack. `settings` is added to the environment of every program, `token` is the bot's."""

    folder: Path
    ports: Ports
    token: str = field(default_factory=lambda: f"7000000001:{secrets.token_urlsafe(24)}", repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def otlp(self) -> str:
        """Where bots send their telemetry to: the Collector's OTLP/HTTP door."""
        return f"http://{HOST}:{self.ports.otlp_http}"

    @property
    def collector_metrics(self) -> str:
        """The Collector's own metrics."""
        return f"http://{HOST}:{self.ports.collector_metrics}/metrics"

    @property
    def tempo(self) -> str:
        """Tempo's API."""
        return f"http://{HOST}:{self.ports.tempo}"

    @property
    def loki(self) -> str:
        """Loki's API."""
        return f"http://{HOST}:{self.ports.loki}"

    @property
    def prometheus(self) -> str:
        """Prometheus' API and page."""
        return f"http://{HOST}:{self.ports.prometheus}"

    @property
    def alertmanager(self) -> str:
        """Alertmanager's API and page."""
        return f"http://{HOST}:{self.ports.alertmanager}"

    @property
    def grafana(self) -> str:
        """Grafana's page, where Grafana is installed."""
        return f"http://{HOST}:{self.ports.grafana}"

    async def start(self, name: str) -> Process:
        """Start one program, or start it again with the data that it had, and wait until it is ready.

        Raises `BuildFailed`, `PortTaken` and `NotStarted`.
        """
        process = self.launch(name)
        await self.wait(name)
        return process

    async def wait(self, name: str) -> None:
        """Wait until a launched program is ready. Raises `NotStarted`."""
        await self.processes[name].ready(PROGRAMS[name](self.ports, self.folder / name).ready)

    def launch(self, name: str) -> Process:
        """Start one program without waiting until it is ready. Raises `BuildFailed` and `PortTaken`."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        described = PROGRAMS[name](self.ports, folder)
        check({port: getattr(self.ports, port) for port in described.listens})
        if name == "prometheus":
            configure.prometheus(folder / "config", self.ports)
        if name == "alertmanager":
            configure.alertmanager(folder / "config", self.ports, self.token)
        process = self.processes[name] = start(
            name,
            [str(program(described.binary)), *described.arguments],
            self.log_of(name),
            {**os.environ, **described.environment, **self.settings},
            folder,
        )
        return process

    def log_of(self, name: str) -> Path:
        """Where a program writes to."""
        return self.folder / "logs" / f"{name}.log"

    async def stop(self, name: str) -> None:
        """End one program as an operator would."""
        await asyncio.to_thread(self.processes[name].stop)

    def kill(self, name: str) -> None:
        """End one program as a crash would."""
        self.processes[name].kill()

    async def stop_all(self) -> None:
        """End whatever runs, who sends before who is sent to."""
        for name in reversed(self.processes):
            await self.stop(name)


@asynccontextmanager
async def running(
    folder: Path, names: Collection[str] = tuple(PROGRAMS), settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """The named programs on free ports, ready; ended at once when the context is left, as nobody needs their data then.

    Raises `BuildFailed` and `NotStarted`.
    """
    stack = Stack(folder, free(), settings=settings or {})
    try:
        for name in names:
            stack.launch(name)
        await asyncio.gather(*(stack.wait(name) for name in names))
        yield stack
    finally:
        for process in stack.processes.values():
            process.kill()
