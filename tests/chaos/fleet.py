"""Starts instances by forking a process that has imported everything, ends them in every way, and sees them die."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess

import psutil

from tests.chaos import instance
from tests.chaos.balancer import Balancer
from tests.chaos.faults import Fault
from tests.kit.bot import free_port

fork = multiprocessing.get_context("forkserver")


@dataclass
class Fleet:
    """Instances in slots; each slot keeps its port."""

    config: instance.Config
    ports: list[int]
    balancer: Balancer
    url: str
    _processes: dict[int, ForkServerProcess] = field(default_factory=dict)

    async def start(self, slot: int, fault: Fault | None = None) -> int:
        """Start an instance in a slot and wait until it listens; gives its pid."""
        config = replace(self.config, slot=slot, port=self.ports[slot], fault=fault)
        process = fork.Process(target=instance.main, args=(config,), daemon=True)
        await asyncio.to_thread(process.start)
        self._processes[slot] = process
        while process.is_alive():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.ports[slot])
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            break
        assert process.pid is not None
        return process.pid

    def pid(self, slot: int) -> int:
        """The process of a slot, dead or alive."""
        pid = self._processes[slot].pid
        assert pid is not None
        return pid

    def slot_of(self, pid: int | None) -> int | None:
        """Where a process runs."""
        return next((slot for slot, process in self._processes.items() if process.pid == pid), None)

    def alive(self, slot: int) -> bool:
        """Whether the instance of a slot lives."""
        return slot in self._processes and self._processes[slot].is_alive()

    def frozen(self, slot: int) -> bool:
        """Whether it is stopped by SIGSTOP."""
        try:
            return bool(psutil.Process(self.pid(slot)).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    def signal(self, slot: int, number: int) -> None:
        """Send a signal to the instance of a slot, if it still lives."""
        if self.alive(slot):
            os.kill(self.pid(slot), number)

    async def ended(self, slot: int) -> None:
        """Wait until the instance of a slot is gone."""
        while self.alive(slot):
            await asyncio.sleep(0.01)

    def kill_all(self) -> None:
        """SIGKILL everything that is left."""
        for process in self._processes.values():
            process.kill()
            process.join()


@asynccontextmanager
async def fleet(config: instance.Config, slots: int) -> AsyncIterator[Fleet]:
    """A fleet of so many slots behind one address; nothing runs yet, and nothing runs afterwards."""
    fork.set_forkserver_preload(["tests.chaos.instance", "tests.chaos.stock", "tests.chaos.load"])
    ports = [free_port() for _ in range(slots)]
    async with asyncio.TaskGroup() as tasks:
        balancer = Balancer(ports, tasks)
        port = await balancer.open()
        made = Fleet(config, ports, balancer, f"http://127.0.0.1:{port}")
        try:
            yield made
        finally:
            made.kill_all()
            balancer.close()


SIGKILL, SIGSTOP, SIGCONT, SIGTERM = signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM
SIGUSR1 = signal.SIGUSR1
