"""Brings the whole stack up on this machine, with the bot in a local Telegram, and takes it down again.

`up` returns when everything is ready and the processes stay; `down` finds them by a file that is written as they start, so
it also ends what an interrupted `up` has left.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from app.config.demo import demo_environment
from deploy.native import grafana
from deploy.native.build import build
from deploy.native.configure import ADMIN
from deploy.native.manifests import MANIFESTS
from deploy.native.ports import HOST, Ports, check
from deploy.native.processes import Identity, NotStarted, start
from deploy.native.programs import PROGRAMS
from deploy.native.run import Stack

_TRACEGRAM = [sys.executable, "-m", "app.cli"]
_PIDS = "processes.json"
_LOCK = "starting.lock"


class AlreadyUp(Exception):
    """The stack of this folder runs already."""


async def up(folder: Path, ports: Ports) -> None:
    """Start everything and print where it is.

    Raises `AlreadyUp`, `BuildFailed`, `PortTaken` and `NotStarted`; nothing is left running then.
    """
    if any(identity.alive() for identity in _remembered(folder).values()):
        raise _already_up(folder)
    build(list(MANIFESTS))
    seen_with = grafana.installed()
    with _alone(folder):
        check({name: port for name, port in asdict(ports).items() if name != "grafana" or seen_with})
        stack = Stack(folder, ports)
        try:
            await _start(stack, seen_with)
            shown = await _grafana_is_up(stack)
        except BaseException:
            await stack.stop_all()
            raise
    print(_table(stack, shown))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One start at a time: of two, the one that fails would forget what the other has started, and nothing could end it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyUp(f"the stack in {folder} is being started already") from error
        if any(identity.alive() for identity in _remembered(folder).values()):
            raise _already_up(folder)
        yield


def _already_up(folder: Path) -> AlreadyUp:
    return AlreadyUp(f"the stack in {folder} is up already; `make stack-down` ends it")


async def _start(stack: Stack, seen_with: grafana.Installed | None) -> None:
    for name in PROGRAMS:
        stack.launch(name)
        _remember(stack)
    if seen_with:
        _launch_grafana(stack, seen_with)
    # Tempo and Loki take their time. Half a minute without a leader is an alert, so the bot waits for its Collector alone.
    _say("starting the Collector, the local Telegram and the bot")
    await stack.wait("collector")
    await _telegram(stack)
    await _bot(stack)
    _say("waiting for the other programs")
    await asyncio.gather(*(stack.wait(name) for name in PROGRAMS))


def _launch_grafana(stack: Stack, installed: grafana.Installed) -> None:
    folder = stack.folder / "grafana"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **grafana.environment(stack, folder)}
    command = grafana.command(installed)
    stack.processes["grafana"] = start("grafana", command, stack.log_of("grafana"), environment, folder)
    _remember(stack)


async def _grafana_is_up(stack: Stack) -> tuple[str, str]:
    """Its address and a remark. The rest of the stack is of use without it, so one that does not come up is only told."""
    process = stack.processes.get("grafana")
    if process is None:
        return "not installed here", "docs/stack.md says how to see all of this in it"
    try:
        await process.ready(f"{stack.grafana}/api/health")
    except NotStarted as error:
        _say(str(error))
        return "did not come up", f"its log is {process.log}"
    return f"{stack.grafana}/", "all of this in one place; no login"


async def _telegram(stack: Stack) -> None:
    ports = stack.ports
    media = f"http://{HOST}:{ports.media}"
    command = [
        *_TRACEGRAM,
        "sandbox",
        "--port",
        str(ports.telegram),
        "--token",
        stack.token,
        "--media-url",
        media,
    ]
    process = start("telegram", command, stack.log_of("telegram"), demo_environment(), stack.folder)
    stack.processes["telegram"] = process
    _remember(stack)
    await process.ready(f"http://{HOST}:{ports.telegram}/")


async def _bot(stack: Stack) -> None:
    ports = stack.ports
    folder = stack.folder / "bot"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **demo_environment(),
        "BOT_TOKEN": stack.token,
        "BOT_API_URL": f"http://{HOST}:{ports.telegram}",
        "ADMIN_IDS": str(ADMIN),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'bot.db'}",
        "WEB_PORT": str(ports.bot),
        "ALLOW_HOSTS": f"{HOST}:{ports.media}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp,
        # A name that stays over restarts: series and streams do not grow with them.
        "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=bot-1",
        "TEMPO_URL": stack.tempo,
        **({"GRAFANA_URL": stack.grafana} if "grafana" in stack.processes else {}),
    }
    process = start("bot", [*_TRACEGRAM, "run"], stack.log_of("bot"), environment, folder)
    stack.processes["bot"] = process
    _remember(stack)
    await process.ready(f"http://{HOST}:{ports.bot}/health")


def down(folder: Path) -> int:
    """End whatever `up` has started in this folder, and say how much it was. The data stays."""
    ended = 0
    for name, identity in reversed(_remembered(folder).items()):
        if identity.alive():
            _say(f"ending {name}")
            identity.end()
            ended += 1
    (folder / _PIDS).unlink(missing_ok=True)
    return ended


def _remember(stack: Stack) -> None:
    known = {name: asdict(process.identity) for name, process in stack.processes.items()}
    stack.folder.mkdir(parents=True, exist_ok=True)
    partial = stack.folder / f"{_PIDS}.{os.getpid()}"
    partial.write_text(json.dumps(known))
    partial.rename(stack.folder / _PIDS)


def _remembered(folder: Path) -> dict[str, Identity]:
    try:
        known = json.loads((folder / _PIDS).read_text())
    except FileNotFoundError:
        return {}
    return {name: Identity(**identity) for name, identity in known.items()}


def _table(stack: Stack, shown: tuple[str, str]) -> str:
    ports = stack.ports
    rows = [
        ("chat page", f"http://{HOST}:{ports.telegram}/", f"play a user; user {ADMIN} is the admin"),
        ("bot", f"http://{HOST}:{ports.bot}/health", "and /metrics"),
        ("Collector", stack.otlp, "OTLP/HTTP; its own metrics: " + stack.collector_metrics),
        ("Prometheus", f"{stack.prometheus}/api/v1/alerts", "built without its pages"),
        ("Alertmanager", f"{stack.alertmanager}/", ""),
        ("Tempo", f"{stack.tempo}/api/search", "/api/traces/<cid>"),
        ("Loki", f"{stack.loki}/loki/api/v1/labels", '{service_name="tracegram"} | trace_id="<cid>"'),
        ("Grafana", *shown),
    ]
    lines = [f"  {name:<13} {address:<44} {remark}".rstrip() for name, address, remark in rows]
    return "\n".join([*lines, f"Logs and data are in {stack.folder}; `make stack-down` ends it."])


def _say(text: str) -> None:
    print(f"stack: {text}", file=sys.stderr, flush=True)
