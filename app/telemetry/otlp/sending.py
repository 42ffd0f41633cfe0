"""Posts OTLP bodies over one kept connection per address. No header but the configured ones goes along.

Which answers are worth another try: opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Response".
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event, Timer
from urllib.parse import urlsplit

from app import __version__

_TRY_AGAIN = frozenset([429, 502, 503, 504])
#: More of an answer is not read.
_LONGEST_ANSWER = 65536


class NotTaken(Exception):
    """The Collector did not take a body. `again` says whether it may take it later."""

    def __init__(self, why: str, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Sender:
    """Posts to one address. Use it from one thread at a time.

    Connecting, sending and the whole answer may take `timeout_s` each.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        address = urlsplit(url)
        self._path = address.path or "/"
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": f"tracegram/{__version__}"}
        self._headers.update(headers)
        self._timeout_s = timeout_s
        host = address.hostname or ""
        self._connection = (
            HTTPSConnection(host, address.port, timeout=timeout_s, context=ssl.create_default_context())
            if address.scheme == "https"
            else HTTPConnection(host, address.port, timeout=timeout_s)
        )

    def __call__(self, body: bytes) -> None:
        """Post one body. Raises `NotTaken`."""
        kept = self._connection.sock is not None
        try:
            answer = self._post(body)
        except (OSError, HTTPException) as error:
            # A kept connection may have been closed meanwhile, which says nothing of the Collector. A timeout does.
            if not kept or isinstance(error, TimeoutError):
                raise NotTaken(type(error).__qualname__, again=True) from None
            answer = self._post_anew(body)
        if not 200 <= answer < 300:
            raise NotTaken(f"HTTP {answer}", again=answer in _TRY_AGAIN)

    def close(self) -> None:
        """Close the connection; the next body opens another."""
        self._connection.close()

    def _post_anew(self, body: bytes) -> int:
        try:
            return self._post(body)
        except (OSError, HTTPException) as error:
            raise NotTaken(type(error).__qualname__, again=True) from None

    def _post(self, body: bytes) -> int:
        try:
            self._connection.request("POST", self._path, body, self._headers)
            answer, rest = self._answer(self._connection.sock)
            if len(rest) == _LONGEST_ANSWER or answer.will_close:
                self.close()
        except (OSError, HTTPException):
            self.close()
            raise
        return answer.status

    def _answer(self, connection: socket.socket) -> tuple[HTTPResponse, bytes]:
        """The whole answer. Raises `TimeoutError` when it is not there in time.

        A socket's own timeout begins anew with each byte: who sends one a second would hold the thread for hours.
        """
        late = Event()
        cut = Timer(self._timeout_s, _cut, [connection, late])
        cut.daemon = True
        cut.start()
        try:
            answer = self._connection.getresponse()
            rest = answer.read(_LONGEST_ANSWER)
        except (OSError, HTTPException):
            if not late.is_set():
                raise
        finally:
            cut.cancel()
        if late.is_set():
            raise TimeoutError
        return answer, rest


def _cut(connection: socket.socket, late: Event) -> None:
    """End a connection that another thread reads from: it reads the end then."""
    late.set()
    with suppress(OSError):  # closed by now
        # Not the method of `SSLSocket`, which takes the TLS away from under the reader.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
