"""A relay in front of a PostgreSQL that can stop forwarding: a server that is there, takes connections, and never answers.

It can also lose one answer to a COMMIT: the server has it, and whoever asked never hears of it. Or it loses a statement,
every word that one may be forgotten, or every connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import URL, make_url


@dataclass
class Relay:
    """`url` is the database's address through the relay, `lost` how many answers or statements were lost on purpose."""

    url: str
    lost: int = 0
    #: Whether a COMMIT was held back on purpose.
    held: bool = False
    #: Whether no word of the client that a prepared statement should be closed reaches the server.
    loses_closings: bool = False
    _losing: bytes | None = None
    _cutting: bytes | None = None
    _refuses: bool = False
    _held_s: float | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)

    def hang(self) -> None:
        """Forward nothing from now on, on old connections and new ones."""
        self._flows.clear()

    def go_on(self) -> None:
        """Forward again, first what came meanwhile, and take connections."""
        self._refuses = False
        self._flows.set()

    def lose_the_commit_of(self, statement: bytes) -> None:
        """The next COMMIT after a statement with this text gets no answer: its connection is cut. Once."""
        self._losing = statement

    def cut_at(self, statement: bytes) -> None:
        """The next statement with this text does not reach the server: its connection is cut. Once."""
        self._cutting = statement

    def hold_the_commit_of(self, statement: bytes, seconds: float) -> None:
        """The next COMMIT after a statement with this text is brought, and its answer, so much later. Once."""
        self._losing, self._held_s = statement, seconds

    def refuse(self) -> None:
        """Cut every connection, and new ones at once."""
        self._refuses = True
        for writer in self._open:
            writer.close()

    async def _serve(self, server: URL, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.close()
            return
        host, port = server.host or str(server.query["host"]), server.port or 5432
        there = (
            await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            if host.startswith("/")
            else await asyncio.open_connection(host, port)
        )
        self._open.add(writer)
        try:
            async with asyncio.TaskGroup() as group:
                back = group.create_task(self._pump(there[0], writer))
                group.create_task(self._pump(reader, there[1], back))
        finally:
            self._open.discard(writer)
            writer.close()
            there[1].close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.Task[None] | None = None
    ) -> None:
        marked = False
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self._flows.wait()
                if back is not None and self._cutting is not None and self._cutting in data:
                    self._cutting = None
                    self.lost += 1
                    back.cancel()
                    break
                if back is not None and self.loses_closings and data.startswith(b"C"):
                    self.lost += 1
                    continue
                marked |= self._losing is not None and self._losing in data
                if back is not None and marked and b"COMMIT" in data:
                    self._losing = None
                    if self._held_s is None:
                        self.lost += 1
                        back.cancel()
                        sink.write(data)
                        break
                    self.held = True
                    await asyncio.sleep(self._held_s)
                    marked = False
                sink.write(data)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def relay(url: str, port: int = 0) -> AsyncIterator[Relay]:
    """Start one in front of the database at `url`, on a free port unless one is given."""
    server = make_url(url)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(here._serve(server, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", port)
    port = listening.sockets[0].getsockname()[1]
    through = server.set(host="127.0.0.1", port=port, query={})
    here = Relay(through.render_as_string(hide_password=False))
    here.go_on()
    try:
        yield here
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
