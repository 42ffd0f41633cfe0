"""The programs as a person starts them: wrong settings, signals, kill -9, the doctor, the demo and what it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from email.utils import formatdate
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web
from sqlalchemy import make_url

from app.jobs.engines.ffmpeg import find_ffmpeg
from app.sandbox.media import serve_media
from app.sandbox.server import serve
from tests.kit.bot import ADMIN, ALICE, free_port
from tests.kit.person import Person
from tests.kit.pgbouncer import pgbouncer
from tests.kit.programs import run, start
from tests.kit.relay import relay
from tests.kit.serving import serving
from tests.kit.telemetry import TOKEN


async def test_wrong_settings_end_the_start_with_one_message(tmp_path: Path) -> None:
    code, out, err = await run(
        tmp_path,
        "run",
        BOT_TOKEN="secret-but-wrong",
        WEB_PORT="eighty",
        BOT_MODE="webhook",
        DATABASE_URL="mysql://x",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=planted-a,planted-b",
        GRAFANA_URL="https://admin:planted-c@grafana.example",
    )
    assert (code, out) == (2, "")
    names = [line.split(":")[0].strip() for line in err.splitlines()[1:-1]]
    assert names == [
        "BOT_TOKEN",
        "WEBHOOK_URL",
        "WEBHOOK_SECRET",
        "WEB_PORT",
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "GRAFANA_URL",
    ]
    assert "secret-but-wrong" not in err
    assert "planted" not in err


async def test_rules_name_settings_that_there_are_not(tmp_path: Path) -> None:
    settings = {
        "ALERT_ERROR_RATE": "1",
        "ALERT_ERROR_RATE_THRESHOLD": "7",
        "ALERT_CHAT_ID": "1",
        "RUNBOOK_URL": "https://books.example",
    }
    code, out, err = await run(tmp_path, "rules", **settings)
    assert (code, err) == (
        0,
        "tracegram: ALERT_ERROR_RATE is no setting; is it ALERT_ERROR_RATE_THRESHOLD?\n",
    )
    assert "https://books.example/" in out
    code, _, err = await run(tmp_path, "rules")
    told = "tracegram: without RUNBOOK_URL the alerts name their runbooks by a path, not a link\n"
    assert (code, err) == (0, told)


async def test_what_is_missing_around_it_is_explained_too(tmp_path: Path) -> None:
    async with serve("127.0.0.1", 0, token=TOKEN) as url:
        port = url.rsplit(":", 1)[1]
        settings = {"BOT_TOKEN": TOKEN, "BOT_API_URL": url}
        code, out, err = await run(tmp_path, "run", WEB_PORT=port, **settings)
        assert (code, err) == (
            2,
            f"tracegram: WEB_PORT: cannot listen on 127.0.0.1:{port} (address already in use). "
            "Free it, or choose another.\n",
        )
        dead = f"postgresql://user:hidden-password@127.0.0.1:{free_port()}/x"
        for command in ("run", "worker", "migrate"):
            code, out, err = await run(tmp_path, command, DATABASE_URL=dead, DATABASE_WAIT_S="0", **settings)
            assert (code, err.split("(")[0]) == (
                2,
                "tracegram: DATABASE_URL: the database does not answer, or refuses ",
            )
            assert "hidden-password" not in out + err


@pytest.mark.parametrize("command", ["run", "worker"])
@pytest.mark.parametrize("first", ["refused", "starting up"])
async def test_a_database_that_comes_later_is_waited_for(
    tmp_path: Path, postgres_url: str, command: str, first: str
) -> None:
    """Started together with its database, the bot ended with the exit code of a wrong setting."""
    port, inside = free_port(), free_port()
    address = make_url(postgres_url).set(drivername="postgresql", host="127.0.0.1", port=port, query={})
    async with serve("127.0.0.1", 0, token=TOKEN) as url, _ended_at_last() as programs:
        async with _starting_up(port) if first == "starting up" else nullcontext():
            program = await start(
                tmp_path,
                command,
                BOT_TOKEN=TOKEN,
                BOT_API_URL=url,
                WEB_PORT=str(inside),
                DATABASE_URL=address.render_as_string(hide_password=False),
            )
            programs.append(program)
            assert program.stdout is not None
            told = json.loads(await asyncio.wait_for(program.stdout.readline(), 30))
            await asyncio.sleep(1.5)  # longer than the pause between two looks
        async with relay(postgres_url, port), aiohttp.ClientSession() as session:
            assert await _status(session, f"http://127.0.0.1:{inside}/health/ready") == 200
            program.terminate()
            out, _ = await program.communicate()
    kind = {"refused": "ConnectionRefusedError", "starting up": "CannotConnectNowError"}[first]
    assert (told["level"], told["logger"]) == ("WARNING", "app.db.waiting")
    assert told["message"] == f"the database does not answer yet ({kind}); waiting for it"
    assert b"app.db.waiting" not in out
    assert program.returncode == 0


@asynccontextmanager
async def _starting_up(port: int) -> AsyncIterator[None]:
    """A PostgreSQL that takes no connections yet, in the words of its protocol."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        await reader.readexactly(8)  # may it be encrypted?
        writer.write(b"N")
        await reader.read(1000)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


async def test_a_stop_ends_the_wait_for_a_database(tmp_path: Path) -> None:
    dead = f"postgresql://user@127.0.0.1:{free_port()}/x"
    process = await start(tmp_path, "worker", BOT_TOKEN=TOKEN, DATABASE_URL=dead, DATABASE_WAIT_S="600")
    assert process.stdout is not None
    assert b"does not answer yet" in await asyncio.wait_for(process.stdout.readline(), 30)
    process.terminate()
    async with asyncio.timeout(30):
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_a_database_that_refuses_is_not_waited_for(tmp_path: Path, postgres_url: str) -> None:
    none_such = make_url(postgres_url).set(drivername="postgresql", database="none_such")
    address = none_such.render_as_string(hide_password=False)
    async with asyncio.timeout(60):
        code, out, err = await run(
            tmp_path, "worker", BOT_TOKEN=TOKEN, DATABASE_URL=address, DATABASE_WAIT_S="600"
        )
    assert (code, out) == (2, "")
    assert "or refuses (InvalidCatalogNameError)" in err


async def test_a_missing_token_is_explained(tmp_path: Path) -> None:
    code, _, err = await run(tmp_path, "run")
    assert code == 2
    assert "BOT_TOKEN: missing. (Token of the bot, from @BotFather" in err


async def test_migrate_makes_the_schema(tmp_path: Path) -> None:
    settings = {"BOT_TOKEN": TOKEN, "DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    assert await run(tmp_path, "migrate", **settings) == (0, "the database is at head\n", "")
    assert await run(tmp_path, "migrate", "base", **settings) == (0, "the database is at base\n", "")


async def test_a_pooler_that_shares_connections_stands_in_nobodys_way(
    tmp_path: Path, postgres_url: str
) -> None:
    """`tracegram migrate` and the doctor asked it for what a pooler refuses, whatever the settings said."""
    server = make_url(postgres_url)
    with pgbouncer(server) as pooler:
        async with serve("127.0.0.1", 0, token=TOKEN) as url:
            settings = {
                "BOT_TOKEN": TOKEN,
                "BOT_API_URL": url,
                "DATABASE_URL": pooler.set(drivername="postgresql").render_as_string(hide_password=False),
                "DATABASE_SHARED_CONNECTIONS": "true",
            }
            migrated = await run(tmp_path, "migrate", **settings)
            code, out, _ = await run(tmp_path, "doctor", **settings)
    assert migrated == (0, "the database is at head\n", "")
    assert (code, out.splitlines()[0]) == (0, "ok      database   postgresql answers")


async def test_the_doctor_names_the_broken_links(tmp_path: Path) -> None:
    async with serve("127.0.0.1", 0, token=TOKEN) as url:
        good = {"BOT_TOKEN": TOKEN, "BOT_API_URL": url, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        code, out, _ = await run(tmp_path, "doctor", **good)
        assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["ok"] * 5)
        dead = f"http://127.0.0.1:{free_port()}"
        bad = {
            "BOT_TOKEN": TOKEN,
            "BOT_API_URL": dead,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/nowhere",
            "DATABASE_URL": f"postgresql://u:hidden-password@127.0.0.1:{free_port()}/x",
            "FFMPEG_PATH": "/bin/false",
        }
        code, out, err = await run(tmp_path, "doctor", **bad)
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()] == ["BROKEN"] * 4 + ["ok"]
    assert "hidden-password" not in out + err
    assert TOKEN not in out + err


@pytest.mark.parametrize(("ahead_s", "said"), [(3, "ok"), (-3, "ok"), (60, "ahead of"), (-3600, "behind")])
async def test_the_doctor_names_a_clock_that_is_wrong(tmp_path: Path, ahead_s: int, said: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        date = formatdate(time.time() + ahead_s, usegmt=True)
        return web.json_response({"ok": True, "result": {"username": "some_bot"}}, headers={"Date": date})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with serving(app) as url:
        settings = {"BOT_TOKEN": TOKEN, "BOT_API_URL": url, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        code, out, _ = await run(tmp_path, "doctor", **settings)
    lines = [line for line in out.splitlines() if line.split()[1] in ("bot", "collector")]
    if said == "ok":
        assert (code, [line.split()[0] for line in lines]) == (0, ["ok", "ok"])
        return
    off = abs(ahead_s)
    told = (
        rf"its clock is ({off - 1}|{off}|{off + 1}|{off + 2}) s {said} this machine's: let NTP set both, .*"
    )
    assert code == 1
    assert len(lines) == 2
    assert all(re.fullmatch(rf"BROKEN  (bot api|collector) +{told}", line) for line in lines), out


@asynccontextmanager
async def _bot(folder: Path, url: str, media: str) -> AsyncIterator[Process]:
    process = await start(
        folder,
        "run",
        BOT_TOKEN=TOKEN,
        BOT_API_URL=url,
        WEB_PORT=str(free_port()),
        DATABASE_URL=f"sqlite:///{folder / 'bot.db'}",
        ALLOW_HOSTS=media.removeprefix("http://"),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def test_debug_records_come_from_every_process(tmp_path: Path) -> None:
    settings = {
        "BOT_TOKEN": TOKEN,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bot.db'}",
        "ADMIN_IDS": str(ADMIN),
    }
    async with (
        serve("127.0.0.1", 0, token=TOKEN) as url,
        aiohttp.ClientSession(url) as sandbox,
        _ended_at_last() as programs,
    ):
        settings["BOT_API_URL"] = url
        programs.append(await start(tmp_path, "run", WEB_PORT=str(free_port()), **settings))
        admin = Person(sandbox, ADMIN)
        sent = await admin.say("/debug")
        overview = await admin.until(lambda message: message["message_id"] > sent["message_id"])
        programs.append(await start(tmp_path, "worker", WEB_PORT=str(free_port()), **settings))
        await admin.press(overview["message_id"], "db.logs")
        async with asyncio.timeout(30):
            told = [await _first_at_debug(program) for program in programs]
    assert [record["level"] for record in told] == ["DEBUG", "DEBUG"]
    assert told[1]["logger"] == "app.traces.verbosity"
    assert re.fullmatch(r"DEBUG records are on for 1[78]\d\d s more", told[1]["message"])


async def _first_at_debug(program: Process) -> dict[str, str]:
    assert program.stdout is not None
    async for line in program.stdout:
        record: dict[str, str] = json.loads(line)
        if record["level"] == "DEBUG":
            return record
    raise AssertionError("it ended without such a record")


@asynccontextmanager
async def _ended_at_last() -> AsyncIterator[list[Process]]:
    programs: list[Process] = []
    try:
        yield programs
    finally:
        for program in programs:
            if program.returncode is None:
                os.killpg(program.pid, signal.SIGKILL)
            await program.communicate()


async def test_a_worker_tells_its_health_and_its_numbers_and_takes_no_updates(tmp_path: Path) -> None:
    """An orchestrator and Prometheus ask a worker as they ask a bot."""
    web, inside = free_port(), free_port()
    process = await start(
        tmp_path,
        "worker",
        BOT_TOKEN=TOKEN,
        DATABASE_URL=f"sqlite:///{tmp_path / 'bot.db'}",
        WEB_PORT=str(web),
        METRICS_PORT=str(inside),
    )
    try:
        async with aiohttp.ClientSession() as session:
            found = {}
            for port in (web, inside):
                for path in ("/health/live", "/health/ready", "/health", "/metrics", "/telegram/webhook"):
                    found[port == web, path] = await _status(session, f"http://127.0.0.1:{port}{path}")
            async with session.get(f"http://127.0.0.1:{inside}/metrics") as response:
                numbers = await response.text()
    finally:
        process.terminate()
        await process.communicate()
    assert {path for (public, path), status in found.items() if public and status == 200} == {
        "/health/live",
        "/health/ready",
    }
    assert {path for (public, path), status in found.items() if not public and status == 200} == {
        "/health/live",
        "/health/ready",
        "/health",
        "/metrics",
    }
    assert set(found.values()) == {200, 404}
    assert "bot_uptime_seconds" in numbers
    assert "bot_queue_depth" in numbers
    # Whose growth is an alert (app/alerts/promql.py): there before anything happens, so that the first one is a step.
    for kind in ("message", "callback_query", "other"):
        assert f'bot_updates_set_aside_total{{update_type="{kind}"}} 0.0' in numbers
    for lost in ("spans", "logs"):
        assert f'bot_telemetry_dropped_total{{signal="{lost}"}} 0.0' in numbers
    assert process.returncode == 0


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    """What a door answers, as soon as somebody listens there."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get(url) as response:
                    return response.status
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def test_a_graceful_stop_ends_the_download_too(tmp_path: Path, media_samples: Path) -> None:
    async with (
        serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=media_samples) as media,
        serve("127.0.0.1", 0, token=TOKEN) as url,
        aiohttp.ClientSession(url) as session,
    ):
        alice = Person(session, ALICE)
        async with _bot(tmp_path, url, media) as bot:
            await alice.say(f"{media}/hostile/slow")
            await alice.until(lambda m: "Downloading" in (m["text"] or "") or "Looking" in (m["text"] or ""))
            # A graceful stop puts the job back at once, and takes the download with it.
            children = psutil.Process(bot.pid).children(recursive=True)
            bot.terminate()
            await asyncio.wait_for(bot.wait(), 15)
            assert bot.returncode == 0
            assert [child for child in children if child.is_running()] == []
        assert list(tmp_path.glob("tracegram-job-*")) == []


async def test_a_job_survives_kill_9(tmp_path: Path, media_samples: Path) -> None:
    async with (
        serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=media_samples) as media,
        serve("127.0.0.1", 0, token=TOKEN) as url,
        aiohttp.ClientSession(url) as session,
    ):
        alice = Person(session, ALICE)
        async with _bot(tmp_path, url, media) as bot:
            await alice.say(f"{media}/watch/sample")
            await alice.until(lambda m: m["text"])
            bot.kill()
            await bot.wait()
        assert not any(message["attachment"] for message in await alice.chat())
        async with _bot(tmp_path, url, media) as bot:
            await alice.until(lambda m: m["attachment"], patience_s=40)
            await alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
            bot.terminate()  # an update that came again may have made a second job, which is under way
            await bot.wait()
        assert [path.name for path in tmp_path.glob("tracegram-job-*")] == []


async def test_the_demo_says_ready_and_leaves_nothing(tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    process = await start(tmp_path, "demo", "--port", "0", TMPDIR=str(temp))
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("ready "):
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, lines
        lines.append(line.decode().strip())
    async with aiohttp.ClientSession() as session, session.get(lines[-1].removeprefix("ready ")) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert [child for child in children if child.is_running()] == []
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0])
async def test_ctrl_c_ends_the_demo_during_its_start(tmp_path: Path, after_s: float) -> None:
    process = await start(tmp_path, "demo", "--port", "0")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"starting the sandbox and the bot ...\n"
    await asyncio.sleep(after_s)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")
    assert list(tmp_path.iterdir()) == []


async def test_the_sandbox_alone_serves_its_media_under_the_name_that_bots_know(tmp_path: Path) -> None:
    port = free_port()
    process = await start(
        tmp_path,
        "sandbox",
        "--port",
        "0",
        "--media-url",
        f"http://media.example:{port}",
        TMPDIR=str(tmp_path),
    )
    assert process.stdout is not None
    line = b""
    while not line.startswith(b"ready "):
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{line.decode().split()[1]}sandbox/samples") as response:
            links = [sample["url"] for sample in await response.json()]
        assert links[0] == f"http://media.example:{port}/watch/sample"
        async with session.get(links[0].replace("media.example", "127.0.0.1")) as response:
            assert (response.status, response.content_type) == (200, "text/html")
    process.terminate()
    await process.communicate()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


async def test_a_media_address_without_a_port_is_explained(tmp_path: Path) -> None:
    code, _, err = await run(tmp_path, "sandbox", "--port", "0", "--media-url", "http://media.example")
    assert (code, err) == (2, "tracegram: --media-url must be like http://name:8091, with a port.\n")


async def test_the_bot_goes_when_the_demo_is_killed(tmp_path: Path) -> None:
    process = await start(tmp_path, "demo", "--port", "0")
    assert process.stdout is not None
    while not (await asyncio.wait_for(process.stdout.readline(), 60)).startswith(b"ready "):
        pass
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    deadline = time.monotonic() + 30
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    process._transport.close()  # type: ignore[attr-defined]  # the pipe of a killed process


async def test_a_port_in_use_is_explained(tmp_path: Path) -> None:
    async with serve("127.0.0.1", 0) as url:
        port = url.rsplit(":", 1)[1]
        code, _, err = await run(tmp_path, "demo", "--port", port)
    assert code == 2
    assert port in err
    assert "Traceback" not in err


@pytest.mark.timeout(180)
async def test_the_main_job_plays_without_a_browser(tmp_path: Path) -> None:
    code, out, err = await run(tmp_path, "demo", "--play")
    assert code == 0, out + err
    assert out.splitlines()[-1] == "the file arrived and the trace is whole"
    assert err == ""
