"""A way to a server that can fall silent: what is sent on it gets lost, and nobody takes or refuses a connection.

So it is when packets are dropped, by a network or a firewall. It stands on loopback, and needs Linux: there the kernel
drops who knocks while too many wait at a door.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import yarl


@dataclass
class Way:
    """`url` is what leads to the server, once it is told where that is."""

    url: str
    _door: socket.socket
    _server: yarl.URL | None = None
    _silent: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _waiting: list[socket.socket] = field(default_factory=list)

    def lead_to(self, url: yarl.URL) -> None:
        """Say where the server is."""
        self._server = url

    async def fall_silent(self) -> None:
        """Lose everything from now on."""
        self._silent = True
        self._close()
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            while True:  # until the kernel lets nobody wait any more
                knocking = socket.socket()
                knocking.setblocking(False)
                self._waiting.append(knocking)
                async with asyncio.timeout(0.3):
                    await loop.sock_connect(knocking, self._door.getsockname())

    def speak(self) -> None:
        """Take connections again; the old ones are lost."""
        self._silent = False
        for task in self._tasks:
            task.cancel()
        for knocking in self._waiting:
            knocking.close()
        self._waiting.clear()
        self._open()

    def _open(self) -> None:
        asyncio.get_running_loop().add_reader(self._door, self._take)

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._door)

    def _take(self) -> None:
        with suppress(BlockingIOError):
            taken, _ = self._door.accept()
            task = asyncio.create_task(self._serve(taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, taken: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=taken)
        try:
            if self._server is None:
                return
            there = await asyncio.open_connection(self._server.host, self._server.port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, there[1]))
                    group.create_task(self._pump(there[0], writer))
            finally:
                there[1].close()
        finally:
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if not self._silent:
                    sink.write(data)
                    await sink.drain()
        sink.close()


@asynccontextmanager
async def way() -> AsyncIterator[Way]:
    """Open one that leads nowhere yet."""
    with socket.socket() as door:
        door.setblocking(False)
        door.bind(("127.0.0.1", 0))
        door.listen(1)
        here = Way(f"http://127.0.0.1:{door.getsockname()[1]}", door)
        here._open()
        try:
            yield here
        finally:
            here.speak()
            here._close()
            await asyncio.gather(*here._tasks, return_exceptions=True)
