"""Anything at all at every door of a running bot: no 500, no secret in an answer or a log line, and nothing grows."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.bot import free_port
from tests.kit.telemetry import TOKEN

SECRET = "webhook-secret-of-the-fuzz-run"
PASSWORD = "password-of-the-fuzz-run"
MARK = "words-that-nobody-may-see"
_ROOT = Path(__file__).parents[2]
_PATHS = ["/telegram/webhook", "/metrics", "/health", "/health/live", "/health/ready", "/", "/nowhere", "*"]
_METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "",
    "P\x00ST",
]


@dataclass(frozen=True)
class Bot:
    process: psutil.Process
    port: int
    inside: int
    log: Path


def _start(folder: Path, log: Path, *arguments: str, **values: str) -> subprocess.Popen[bytes]:
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "app.cli", *arguments]
    with log.open("wb") as out:
        return subprocess.Popen(command, cwd=folder, env=base | values, stdout=out, stderr=out)


def _until_up(port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {path}")


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    folder = tmp_path_factory.mktemp("fuzz")
    box, port, inside = free_port(), free_port(), free_port()
    sandbox = _start(folder, folder / "box.log", "sandbox", "--port", str(box), "--token", TOKEN)
    _until_up(box, "/sandbox/state")
    running = _start(
        folder,
        folder / "bot.log",
        "run",
        BOT_TOKEN=TOKEN,
        BOT_API_URL=f"http://127.0.0.1:{box}",
        BOT_MODE="webhook",
        WEBHOOK_URL=f"http://127.0.0.1:{port}",
        WEBHOOK_SECRET=SECRET,
        WEB_PORT=str(port),
        METRICS_PORT=str(inside),
        METRICS_PASSWORD=PASSWORD,
        TRUSTED_PROXIES="127.0.0.1",
    )
    try:
        _until_up(port, "/health/ready")
        yield Bot(psutil.Process(running.pid), port, inside, folder / "bot.log")
    finally:
        for process in (running, sandbox):
            process.terminate()
            process.wait(30)


def _exchange(port: int, sent: bytes) -> bytes:
    """Send bytes as they are, and read what comes until the other end closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            pass  # a door may shut in the face
        return received


def _judge(received: bytes) -> None:
    statuses = [int(code) for code in re.findall(rb"(?m)^HTTP/1\.[01] (\d{3})", received)]
    # 503 is declared: the inbox does not take it now. Anything else from 500 on is a fault of ours.
    assert not [status for status in statuses if status >= 500 and status != 503], received[:500]
    for secret in (SECRET, PASSWORD, TOKEN.split(":")[1]):
        assert secret.encode() not in received


_names = st.sampled_from(
    [
        "Host",
        "Content-Type",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Encoding",
        "Expect",
        "Connection",
        "Upgrade",
        "Authorization",
        "X-Forwarded-For",
        "X-Telegram-Bot-Api-Secret-Token",
        "Accept",
        "Accept-Encoding",
        "Range",
        "traceparent",
        "Cookie",
    ]
)
_values = st.one_of(
    st.sampled_from(
        [
            "application/json",
            "application/openmetrics-text; version=1.0.0",
            "text/plain;q=x",
            "chunked",
            "gzip",
            "identity",
            "100-continue",
            "-1",
            "99999999999999999999",
            "websocket",
            "close",
            "Basic !!!",
            "Basic Og==",
            "bytes=0-",
            "::1, 127.0.0.1",
            SECRET,
        ]
    ),
    st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
)
_bodies = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(MARK),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@st.composite
def _requests(draw: st.DrawFn) -> bytes:
    method, path = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_PATHS))
    path += draw(st.sampled_from(["", "", "?x=%", "/../..", "%00", "%ff%fe", "\\", "/" * 9000]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.0", "2.0", "x"]))
    headers = draw(st.lists(st.tuples(_names, _values), max_size=6))
    body = draw(_bodies)
    if draw(st.booleans()):
        headers += [("Host", "x"), ("Content-Length", str(len(body)))]
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


_profile = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@_profile
@given(request=_requests(), inside=st.booleans())
def _any_bytes(bot: Bot, request: bytes, inside: bool) -> None:
    _judge(_exchange(bot.inside if inside else bot.port, request))


_ids = st.one_of(st.integers(), st.integers(1, 10**6), st.none(), st.booleans(), st.text(max_size=5))
_updates = st.fixed_dictionaries(
    {"update_id": _ids},
    optional={
        "message": st.fixed_dictionaries(
            {},
            optional={
                "message_id": _ids,
                "date": _ids,
                "text": st.text(max_size=20) | st.just(f"/start {MARK}") | st.just(f"http://{MARK}/x"),
                "chat": st.fixed_dictionaries(
                    {"id": _ids, "type": st.sampled_from(["private", "group", MARK, 5])}
                ),
                "from": st.fixed_dictionaries(
                    {"id": _ids, "is_bot": st.booleans(), "first_name": st.just(MARK)}
                ),
            },
        ),
        "callback_query": st.fixed_dictionaries({"id": _ids, "data": st.just(MARK) | _ids, "from": _ids}),
        "pre_checkout_query": st.fixed_dictionaries({"id": _ids, "from": _ids}),
        MARK: _ids,
    },
)


@_profile
@given(update=_updates)
def _any_update(bot: Bot, update: object) -> None:
    body = json.dumps(update).encode()
    head = (
        "POST /telegram/webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Telegram-Bot-Api-Secret-Token: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    _judge(_exchange(bot.port, head.encode() + body))


def _settled(bot: Bot) -> tuple[int, int]:
    """Open files and threads, once no connection is open any more."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        open_now = [c for c in bot.process.net_connections("tcp") if c.status != psutil.CONN_LISTEN]
        ours = {bot.port, bot.inside}
        if not [c for c in open_now if c.laddr.port in ours]:
            break
        time.sleep(0.3)
    return bot.process.num_fds(), bot.process.num_threads()


def test_no_input_breaks_a_door_or_makes_it_grow(bot: Bot) -> None:
    for _ in range(20):  # what is opened once and kept: the pool, the thread that renders
        for port, path in ((bot.port, "/health/ready"), (bot.inside, "/metrics")):
            _judge(_exchange(port, f"GET {path} HTTP/1.0\r\n\r\n".encode()))
    _any_update(bot)
    files, threads = _settled(bot)
    memory = bot.process.memory_info().rss
    _any_bytes(bot)
    _any_update(bot)
    _until_up(bot.port, "/health/ready")
    files_after, threads_after = _settled(bot)
    # The pools of connections and threads may still have grown towards their limits.
    assert files_after <= files + 25
    assert threads_after <= threads + 25
    assert bot.process.memory_info().rss < memory + 40 * 1024 * 1024
    log = bot.log.read_text()
    for secret in (SECRET, PASSWORD, TOKEN.split(":")[1], MARK):
        assert secret not in log
    # A failure that nobody foresaw is answered with 503, and told here.
    assert "a request failed" not in log
