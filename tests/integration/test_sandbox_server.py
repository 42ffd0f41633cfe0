"""The life of the sandbox: it starts where it is told, stops at once, leaves nothing and tells nobody its tokens."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from app.sandbox.errors import PortInUseError
from app.sandbox.server import build_app, serve
from tests.kit.sandbox_client import ALICE, TOKEN, Sandbox, running_sandbox


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


async def test_a_taken_port_is_named(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(PortInUseError, match=f"port {port} of 127.0.0.1 is in use: stop the program"):
        async with serve("127.0.0.1", port):
            pytest.fail("it started all the same")


async def test_the_given_port_is_used(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    taken.close()
    async with serve("127.0.0.1", port) as url:
        assert url == f"http://127.0.0.1:{port}"


def test_a_malformed_token_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="a token is a number, a colon"):
        build_app(token="nonsense")


async def test_it_stops_at_once_whatever_waits_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as waiting:
        async with serve("127.0.0.1", 0, token=TOKEN) as url:
            box = Sandbox(url, http)
            await box.upload(f"bot{TOKEN}/sendDocument", chat_id=ALICE, document=("a.txt", b"abc"))
            assert len(list(tmp_path.rglob("kept-*"))) == 1
            await box.post("faults", {"method": "getMe", "kind": "delay", "delay_s": 60})
            await box.call("setWebhook", token="43:abc", url="http://127.0.0.1:9/")
            await box.post(f"users/{ALICE}/messages?bot_id=43", {"text": "hi"})
            poll = waiting.create_task(box.result("getUpdates", timeout=50))
            slow = waiting.create_task(box.result("getMe"))
            stream = await http.get(f"{url}/sandbox/events")
            await asyncio.sleep(0.1)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 2
        assert await poll == []
        assert (await slow)["id"] == 42
        assert (await stream.read()).startswith(b": connected")
    assert list(tmp_path.iterdir()) == []


async def test_no_token_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_sandbox() as box:
        await box.result("getMe")
        await box.refusal("getMe", token="42:SECRET-other")
        await box.call("nonsense")
        async with box.http.get(f"{box.url}/file/bot{TOKEN}/nothing") as response:
            assert response.status == 404
        await box.post("faults", {"method": "getMe", "kind": "drop"})
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await box.call("getMe")
        state = await box.get("state")
    assert "TEST-token" not in caplog.text + str(state)
    assert "SECRET-other" not in caplog.text


async def test_the_chat_page_is_served() -> None:
    async with running_sandbox() as box, box.http.get(f"{box.url}/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


async def test_the_control_api_without_its_slash_is_no_door() -> None:
    async with running_sandbox() as box, box.http.get(f"{box.url}/sandbox") as response:
        assert (response.status, list(await response.json())) == (404, ["error"])


def test_the_import_brings_neither_protobuf_nor_the_bot() -> None:
    program = (
        "import sys, app.sandbox.server;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('google', 'aiogram', 'sqlalchemy', 'opentelemetry')]);"
        "print([m for m in sys.modules if m.startswith('app.') and not m.startswith('app.sandbox')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.splitlines() == ["[]", "[]"]
