"""An open loop of updates over keep-alive connections, in a process of its own.

A latency counts from the moment at which the update was meant to be sent, so that a slow answer cannot hide behind the
requests that it held up.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from app.web.routes.webhook import PATH
from tests.chaos.instance import SECRET

_CONNECTIONS = 60
_CHATS = 500


@dataclass(frozen=True)
class Load:
    """So many updates a second to these ports, measured after a warm-up; half a second later `pid` is killed."""

    ports: tuple[int, ...]
    pid: int
    rate: float
    warm_up_s: float
    measured_s: float
    out: Path


@dataclass
class Answers:
    """What came back: numbers of updates that were acknowledged, and how long the measured ones took."""

    acknowledged: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    #: How many were to be measured, answered or not.
    meant: int = 0


def main(load: Load) -> None:
    """Send, and write `Answers` as JSON at the end."""
    answers = asyncio.run(_send(load))
    load.out.write_text(json.dumps(asdict(answers)))


class _Connection(asyncio.Protocol):
    """One request at a time; `answered` gets the status, or 0 when the connection was lost."""

    def __init__(self, answered: Callable[[_Connection, int], None]) -> None:
        self._answered = answered
        self._got = b""
        self.transport: asyncio.Transport | None = None
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, gap, body = self._got.partition(b"\r\n\r\n")
        if not gap:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(body) >= length:
            self._got = b""
            self.busy = False
            self._answered(self, int(head.split(b" ", 2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.busy:
            self.busy = False
            self._answered(self, 0)


class _Sender:
    def __init__(self, load: Load) -> None:
        self._load = load
        self.answers = Answers()
        self.idle: deque[_Connection] = deque()
        self._queue: deque[tuple[int, float]] = deque()
        self._sent: dict[_Connection, tuple[int, float]] = {}
        self._measured = (0.0, 0.0)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(_CONNECTIONS):
            port = self._load.ports[number % len(self._load.ports)]
            _, connection = await loop.create_connection(
                lambda: _Connection(self._answered), "127.0.0.1", port
            )
            self.idle.append(connection)
        start = time.perf_counter() + 0.1
        begin, end = self._measured = (
            start + self._load.warm_up_s,
            start + self._load.warm_up_s + self._load.measured_s,
        )
        number = 0
        while (due := start + number / self._load.rate) < end + 0.5:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
                continue
            number += 1
            self.answers.meant += begin <= due < end
            self._queue.append((number, due))
            self._pump()
        os.kill(self._load.pid, signal.SIGKILL)
        await asyncio.sleep(0.5)

    def _pump(self) -> None:
        while self._queue and self.idle:
            connection = self.idle.popleft()
            if connection.transport is None or connection.transport.is_closing():
                continue
            number, due = self._queue.popleft()
            connection.busy = True
            self._sent[connection] = (number, due)
            connection.transport.write(_request(number))

    def _answered(self, connection: _Connection, status: int) -> None:
        number, due = self._sent.pop(connection)
        if status == 200:
            self.answers.acknowledged.append(number)
            if self._measured[0] <= due < self._measured[1]:
                self.answers.seconds.append(time.perf_counter() - due)
        if connection.transport is not None:
            self.idle.append(connection)
        self._pump()


async def _send(load: Load) -> Answers:
    sender = _Sender(load)
    await sender.run()
    return sender.answers


def _request(number: int) -> bytes:
    chat = {"id": 5_000 + number % _CHATS, "type": "private", "first_name": "User"}
    body = json.dumps(
        {
            "update_id": number,
            "message": {
                "message_id": number,
                "date": int(time.time()),
                "chat": chat,
                "from": {"id": chat["id"], "is_bot": False, "first_name": "User", "language_code": "en"},
                "text": f"message {number}",
            },
        }
    ).encode()
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Telegram-Bot-Api-Secret-Token: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
