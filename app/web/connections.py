"""Accepts connections for aiohttp, and bounds what it leaves open: how many there are, how long the first request takes, and
how long an answer waits for somebody who does not read it.

Later requests of a kept connection are bounded by aiohttp's own keep-alive time.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from aiohttp import web

#: Telegram opens 100 at most, a scraper one.
MOST = 512
#: Time for the head of a request, in seconds: a sender that needs longer wants to hold the connection.
HEAD_S = 10.0
#: Time for what was sent to be taken by the other side, in seconds; Linux ends the connection then (tcp(7), TCP_USER_TIMEOUT).
TAKEN_S = 30.0


class Doorman:
    """Opens the connections of one server."""

    def __init__(self, server: web.Server, *, most: int, head_s: float) -> None:
        self._server = server
        self._most = most
        self._head_s = head_s
        self._silent: dict[int, object] = {}

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection, as `loop.create_server` takes it."""
        return _Opening(self)

    def open(self, transport: asyncio.Transport) -> None:
        """Hand the connection to aiohttp, or end it when there are too many."""
        if len(self._server.connections) >= self._most:
            transport.abort()
            return
        taken_ms = round(TAKEN_S * 1000)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, taken_ms)
        protocol = self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._silent[id(protocol)] = protocol
        asyncio.get_running_loop().call_later(self._head_s, self._end_if_silent, protocol, transport)

    def heard(self, request: web.Request) -> None:
        """A request has come whole: its connection may stay."""
        self._silent.pop(id(request.protocol), None)

    def _end_if_silent(self, protocol: object, transport: asyncio.Transport) -> None:
        if self._silent.pop(id(protocol), None) is not None:
            transport.abort()


class _Opening(asyncio.Protocol):
    """Stands in until the connection is made; from then on aiohttp's protocol is the transport's."""

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._doorman.open(cast(asyncio.Transport, transport))  # a server's always is one
