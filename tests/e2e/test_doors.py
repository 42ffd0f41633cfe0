"""The web doors of a running bot: who may in, on which port, and that nobody can hold them open or break them."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from app.db.session import Database
from tests.e2e.test_webhook import PATH, SECRET, UPDATE
from tests.kit.bot import World, free_port, world
from tests.kit.telemetry import Captured


async def _status(session: aiohttp.ClientSession, path: str, **options: Any) -> int:
    async with session.get(path, **options) as response:
        await response.read()
        return response.status


async def test_numbers_have_a_port_of_their_own(telemetry: Captured, tmp_path: Path) -> None:
    port = free_port()
    inside = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
    async with world(telemetry, tmp_path, metrics_port=port, until="/health/live") as here, inside:
        paths = ["/metrics", "/health", "/health/live", "/health/ready", "/", PATH]
        assert [await _status(inside, path) for path in paths] == [200, 200, 200, 200, 404, 404]
        assert [await _status(here.web, path) for path in paths] == [404, 404, 200, 200, 200, 404]
        assert await _linked(here.web) == ["/health/ready"]


async def test_the_page_for_people_leads_to_the_doors_of_its_port(
    telemetry: Captured, tmp_path: Path
) -> None:
    async with world(telemetry, tmp_path) as here:
        assert await _linked(here.web) == ["/health", "/metrics"]


async def _linked(session: aiohttp.ClientSession) -> list[str]:
    async with session.get("/") as response:
        return re.findall(r'href="([^"]+)"', await response.text())


async def test_a_password_protects_the_numbers(telemetry: Captured, tmp_path: Path) -> None:
    changed: dict[str, Any] = {"metrics_user": "scraper", "metrics_password": "let-me-in-please"}
    async with world(telemetry, tmp_path, until="/health/live", **changed) as here:
        async with here.web.get("/metrics") as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == 'Basic realm="tracegram", charset="UTF-8"'
            assert await response.json() == {"error": "a name and a password are needed"}
        for word, status in (("let-me-in-please", 200), ("open sesame", 401)):
            headers = {"Authorization": aiohttp.encode_basic_auth("scraper", word)}
            answers = [await _status(here.web, path, headers=headers) for path in ("/metrics", "/health")]
            assert answers == [status, status]
        assert [await _status(here.web, p) for p in ("/health/live", "/health/ready", "/")] == [200, 200, 200]
    assert "let-me-in-please" not in telemetry.everything()


async def test_an_allow_list_and_trusted_proxies(telemetry: Captured, tmp_path: Path) -> None:
    changed: dict[str, Any] = {"metrics_allow": "192.0.2.0/24", "trusted_proxies": "127.0.0.1"}
    async with world(telemetry, tmp_path, until="/health/live", **changed) as here:

        async def asked_by(address: str) -> int:
            return await _status(here.web, "/metrics", headers={"X-Forwarded-For": address})

        assert await _status(here.web, "/metrics") == 403
        assert await asked_by("192.0.2.7") == 200
        assert await asked_by("192.0.2.7, 203.0.113.9") == 403
        assert await asked_by("203.0.113.9, 192.0.2.7") == 200


async def test_a_forwarded_address_of_a_stranger_is_not_believed(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, until="/health/live", metrics_allow="192.0.2.0/24") as here:
        assert await _status(here.web, "/metrics", headers={"X-Forwarded-For": "192.0.2.7"}) == 403


@asynccontextmanager
async def _raw(here: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize(
    "begun", [b"", b"POST /telegram/webhook HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["mute", "slow"]
)
async def test_a_head_that_does_not_come_ends_the_connection(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("app.web.server.HEAD_S", 0.5)
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        async with _raw(here) as (reader, writer):
            writer.write(begun)
            assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_body_that_does_not_come_is_answered_408(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.routes.webhook._BODY_S", 0.3)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"X-Telegram-Bot-Api-Secret-Token: {SECRET['X-Telegram-Bot-Api-Secret-Token']}\r\n\r\n"
    )
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        async with _raw(here) as (reader, writer):
            writer.write(head.encode() + b'{"update_id": 1')
            assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"408"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: a-secret\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\na-secret\x00: 1\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"GET / HTTP/a-secret\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (b"\x16\x03\x01 a-secret\r\n\r\n", "HTTP/1.0 400 Bad Request"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: a-secret\r\n\r\n",
            "HTTP/1.1 417 Expectation Failed",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: \xff\r\n\r\n",
            "HTTP/1.1 400 Bad Request",
        ),
        (
            b"GET /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: a-secret\r\n\r\n",
            "HTTP/1.1 417 Expectation Failed",
        ),
        (b"GET /a-secret HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found"),
    ],
    ids=["length", "name", "version", "TLS", "expect", "expect bytes", "expect nowhere", "nowhere"],
)
async def test_what_cannot_be_answered_is_told_by_its_kind_and_not_quoted(
    telemetry: Captured, tmp_path: Path, sent: bytes, status: str
) -> None:
    async with world(telemetry, tmp_path) as here:
        async with _raw(here) as (reader, writer):
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), 10)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    headers = {name: value for name, value in headers.items() if name not in ("Date", "Connection")}
    assert (first, json.loads(body), headers) == (
        status,
        {"error": status[len("HTTP/1.0 400 ") :]},
        {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Server": "tracegram",
        },
    )


async def test_too_many_connections_are_turned_away_and_the_others_served(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.server.MOST", 5)
    async with world(telemetry, tmp_path) as here:
        await here.active()
        held = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(8)]
        # Those beyond the limit are closed, and the kept connection goes on.
        ended = [await _closed(reader) for reader, _ in held]
        assert ended.count(True) >= 3
        assert await _status(here.web, "/health/live") == 200
        for _, writer in held:
            writer.close()


async def _closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 0.5) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def test_a_compressed_body_is_refused(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path, bot_mode="webhook") as here:
        headers = SECRET | {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        bomb = gzip.compress(b'{"update_id": 1, "x": "' + b"a" * 50_000_000 + b'"}')
        async with here.web.post(PATH, headers=headers, data=bomb) as response:
            assert (response.status, await response.json()) == (
                415,
                {"error": "the body must not be compressed"},
            )


ODD: list[tuple[str, bytes]] = [
    ("a NUL in a text", json.dumps(UPDATE).replace("hello", "\\u0000\\ud800hello").encode()),
    ("a NUL in a type", b'{"update_id": 5, "a\\u0000b": {"chat": {"id": 1}}}'),
    ("half a surrogate pair in a type", b'{"update_id": 5, "\\ud800": {}}'),
    ("numbers that are none", b'{"update_id": 5, "message": {"date": NaN, "chat": {"id": Infinity}}}'),
    ("numbers beyond all columns", b'{"update_id": 5, "message": {"date": 1e999, "chat": {"id": 9e30}}}'),
    ("a date in the far future", json.dumps({"update_id": 5, "message": {"date": 10**17}}).encode()),
    ("a key twice", b'{"update_id": 5, "update_id": 6, "message": {}, "message": {}}'),
    ("deep inside", b'{"update_id": 5, "message": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"),
]


@pytest.mark.filterwarnings("ignore:Detected unknown update type:RuntimeWarning")
@pytest.mark.parametrize("body", [body for _, body in ODD], ids=[name for name, _ in ODD])
async def test_an_odd_update_is_stored_and_holds_up_nobody(
    telemetry: Captured, tmp_path: Path, postgres_url: str, body: bytes
) -> None:
    async with world(telemetry, tmp_path, bot_mode="webhook", database_url=postgres_url) as here:
        headers = SECRET | {"Content-Type": "application/json"}

        async def post(data: bytes) -> int:
            async with here.web.post(PATH, headers=headers, data=data) as response:
                return response.status

        # Side by side, and so in one commit.
        others = [json.dumps(UPDATE | {"update_id": 900 + n}).encode() for n in range(3)]
        assert await asyncio.gather(*map(post, [others[0], body, *others[1:]])) == [200] * 4
        await here.updates_done()
        answers = [call["params"]["text"] for call in await here.calls("sendMessage")]
        assert len([answer for answer in answers if answer.startswith("Send me a link")]) >= 3


async def test_who_does_not_read_the_answer_is_let_go(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.connections.TAKEN_S", 1.0)
    async with world(telemetry, tmp_path) as here:
        asking = socket.socket()
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.connect(("127.0.0.1", here.port))
        asking.settimeout(30)
        with asking:
            # More than all buffers on the way hold.
            await asyncio.to_thread(asking.sendall, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
            await asyncio.sleep(6)

            def read_all() -> None:
                while asking.recv(65536):
                    pass

            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(read_all)
        assert await _status(here.web, "/health") == 200


async def _until_health_states(web: aiohttp.ClientSession, **expected: float) -> None:
    """Wait until `/metrics` says of the parts what `/health` says: a monitor may ask either."""
    states: dict[str, float] = {}
    async with asyncio.timeout(15):
        while states != expected:
            await asyncio.sleep(0.1)
            async with web.get("/metrics") as response:
                lines = (await response.text()).splitlines()
            found = [re.fullmatch(r'bot_health_state\{part="(\w+)"\} (\S+)', line) for line in lines]
            states = {match[1]: float(match[2]) for match in found if match}


async def test_health_says_what_is_down(telemetry: Captured, tmp_path: Path, database_url: str) -> None:
    database = Database(database_url)
    async with world(telemetry, tmp_path, database_url=database_url) as here:
        await here.active()
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE updates RENAME TO gone"))
        async with here.web.get("/health") as response:
            health = await response.json()
            assert response.status == 503
        assert [await _status(here.web, f"/health/{what}") for what in ("live", "ready")] == [200, 503]
        await _until_health_states(here.web, database=0.0, downloader=1.0, updates=1.0)
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO updates"))
        assert await _status(here.web, "/health/ready") == 200
        await _until_health_states(here.web, database=1.0, downloader=1.0, updates=1.0)
    await database.close()
    parts = {name: health[name] for name in ("status", "database", "downloader", "updates")}
    assert parts == {"status": "unavailable", "database": "down", "downloader": "ok", "updates": "ok"}


async def test_a_server_does_not_tell_what_it_is_made_of(telemetry: Captured, tmp_path: Path) -> None:
    async with world(telemetry, tmp_path) as here:
        for path in ("/", "/health", "/metrics", "/nowhere"):
            async with here.web.get(path) as response:
                assert response.headers["Server"] == "tracegram"
