"""Accepts connections for aiohttp, and bounds what it leaves open: how many there are, how long the first request takes, and
how long an answer waits for somebody who does not read it. What is no HTTP gets an answer like all other errors.

Later requests of a kept connection are bounded by aiohttp's own keep-alive time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import cast

from aiohttp import web

_log = logging.getLogger(__name__)

#: What every answer says that it comes from: aiohttp would tell its version and Python's.
_SERVER = "tracegram"
#: Telegram opens 100 at most, a scraper one.
MOST = 512
#: Time for the head of a request, in seconds: a sender that needs longer wants to hold the connection.
HEAD_S = 10.0
#: Time for what was sent to be taken by the other side, in seconds; Linux ends the connection then (tcp(7), TCP_USER_TIMEOUT).
TAKEN_S = 30.0
#: How long a connection may wait for its next request, in seconds.
_KEEP_S = 75.0


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
        protocol = _Connection(self._server)
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


class _Connection(web.RequestHandler):
    """One connection, until it ends."""

    __slots__ = ()

    def __init__(self, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEP_S,
            logger=_log,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's own runner passes it on: none is written
            # A compressed body may grow a thousandfold: none is unpacked.
            auto_decompress=False,
        )

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read as HTTP, without what was sent: aiohttp would quote it."""
        if request.writer.output_size > 0:
            raise ConnectionError("it fails amid its answer")
        # Ours are caught before. aiohttp itself puts a header into a text, and one may hold bytes that no text does.
        status = 400 if isinstance(exc, UnicodeError) else status
        if status < 500:
            _log.debug("what came is no HTTP (%s)", type(exc).__qualname__)
            why = HTTPStatus(status).phrase
        else:
            _log.error("a request failed", exc_info=exc)
            status, why = 503, "try again later"
        response = web.json_response({"error": why}, status=status)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer in our name; an error as JSON, with its kind alone: aiohttp's texts quote what was sent."""
        if isinstance(resp, web.HTTPException):
            allowed = {"Allow": resp.headers["Allow"]} if "Allow" in resp.headers else {}
            resp = web.json_response({"error": resp.reason}, status=resp.status, headers=allowed)
        resp.headers["Server"] = _SERVER
        return await super().finish_response(request, resp, start_time)


class _Opening(asyncio.Protocol):
    """Stands in until the connection is made; from then on aiohttp's protocol is the transport's."""

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._doorman.open(cast(asyncio.Transport, transport))  # a server's always is one
