"""An OTLP/HTTP sink in a process of its own: keeps the bodies by path, answers 200, and gives them back joined.

Serialized protobuf messages that are joined make one message with all their parts.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_bodies: defaultdict[str, list[bytes]] = defaultdict(list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        _bodies[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"".join(_bodies[self.path]))

    def do_DELETE(self) -> None:
        _bodies.pop(self.path, None)
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[str]:
    """Run a sink; gives its address. Anything after it is a name space of its own: `{address}/ours/v1/traces`."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def received(address: str, forget: bool = False) -> bytes:
    """All bodies that came to one address, joined; with `forget` they are dropped."""
    with urllib.request.urlopen(address, timeout=30) as response:
        body: bytes = response.read()
    if forget:
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=30).close()
    return body


def main() -> None:
    """Serve until the process ends. The first line on stdout is the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
