"""A load balancer for loopback: hands each connection to an instance that takes it, and cuts those of one that is out.

An instance that is frozen still completes TCP handshakes; a real balancer's health check finds that out, here `out` is
told. It counts what the instances answer, by status.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import cast


class _End(asyncio.Protocol):
    """One end of a connection: what it reads, its peer writes."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self.peer: _End | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._balancer.forget(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.abort()


class _Server(_End):
    def data_received(self, data: bytes) -> None:
        # One request at a time goes over a connection: an answer begins where a piece begins.
        if data.startswith(b"HTTP/1.1 "):
            self._balancer.answers[int(data[9:12])] += 1
        super().data_received(data)


class _Client(_End):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        self._balancer.tasks.create_task(self._balancer.connect(self))


class Balancer:
    """Forwards from one port to the ports of the instances."""

    def __init__(self, ports: list[int], tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks
        #: How often each status was answered.
        self.answers: Counter[int] = Counter()
        self._ports = ports
        self._out: set[int] = set()
        self._next = 0
        self._ends: dict[int, set[_End]] = defaultdict(set)
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> int:
        """Listen; gives the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Listen no longer, and cut everything."""
        if self._server is not None:
            self._server.close()
        for port in self._ports:
            self._cut(port)

    def out(self, port: int) -> None:
        """Send nothing to this instance any more."""
        self._out.add(port)
        self._cut(port)

    def back(self, port: int) -> None:
        """This instance is well again."""
        self._out.discard(port)

    def _cut(self, port: int) -> None:
        for end in list(self._ends[port]):
            if end.transport is not None:
                end.transport.abort()

    def forget(self, end: _End) -> None:
        """A connection has ended."""
        for ends in self._ends.values():
            ends.discard(end)

    async def connect(self, client: _Client) -> None:
        """Find an instance for a new connection; there is none: refuse it."""
        assert client.transport is not None
        self._next += 1
        loop = asyncio.get_running_loop()
        for turn in range(len(self._ports)):
            port = self._ports[(self._next + turn) % len(self._ports)]
            if port in self._out:
                continue
            try:
                _, server = await loop.create_connection(lambda: _Server(self), "127.0.0.1", port)
            except OSError:
                continue
            client.peer, server.peer = server, client
            self._ends[port].add(server)
            if client.transport.is_closing():
                assert server.transport is not None
                server.transport.abort()
            else:
                client.transport.resume_reading()
            return
        client.transport.abort()
