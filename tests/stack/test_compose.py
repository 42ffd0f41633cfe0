"""`docker-compose.otel.yml` as Docker Compose itself reads it, and its bots and proxy run with what it says."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.sandbox.server import serve
from deploy.native.build import program
from deploy.native.run import Stack
from tests.kit.bot import ALICE, free_port
from tests.kit.person import Person
from tests.kit.programs import start
from tests.kit.repository import ROOT

STACK = {"collector", "grafana", "loki", "postgres", "prometheus", "tempo", "volumes"}
Config = dict[str, Any]


def _compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose; `config` needs no engine. No variable of this machine gets in."""
    base = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    return subprocess.run(
        # Docker Compose calls its main package `cmd`.
        [program("cmd"), "--env-file", "/dev/null", "--file", ROOT / "docker-compose.otel.yml", *arguments],
        env=base | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _config(*profiles: str, **environment: str) -> Config:
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    done = _compose(*chosen, "config", "--format", "json", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    config: Config = json.loads(done.stdout)
    return config


def test_each_profile_is_the_stack_and_its_bots() -> None:
    assert set(_config("stack")["services"]) == STACK | {"alertmanager"}
    real = {"bot-1", "bot-2", "worker", "proxy", "alertmanager"}
    assert set(_config("telegram")["services"]) == STACK | real
    assert set(_config("sandbox")["services"]) == STACK | {f"sandbox-{name}" for name in real} | {"sandbox"}


@pytest.mark.parametrize("profile", ["telegram", "sandbox"])
def test_every_file_that_is_mounted_is_there(profile: str) -> None:
    mounted = {
        mount["source"]
        for service in _config(profile)["services"].values()
        for mount in service.get("volumes", ())
        if mount["type"] == "bind"
    }
    assert {Path(path).relative_to(ROOT).as_posix() for path in mounted if not Path(path).exists()} == set()


def test_grafana_gets_every_name_that_its_provisioning_asks_for() -> None:
    texts = [path.read_text() for path in (ROOT / "deploy" / "grafana" / "provisioning").rglob("*.yaml")]
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)\}", "".join(texts)))
    environment = _config("stack")["services"]["grafana"]["environment"]
    assert {key for key in environment if not key.startswith("GF_")} == asked


def test_programs_take_their_configuration_with_the_environment_of_the_file(tmp_path: Path) -> None:
    """Their own checks, on the files that are mounted. The folders for data are this machine's."""
    services = _config("stack")["services"]
    checks = {
        "collector": ("otelcol", ["validate"], "COLLECTOR_STORAGE"),
        "tempo": ("tempo", ["-config.verify=true"], "TEMPO_STORAGE"),
        "loki": ("loki", ["-verify-config"], "LOKI_STORAGE"),
    }
    said = {}
    for name, (binary, more, storage) in checks.items():
        service = services[name]
        mounted = {
            mount["target"]: mount["source"] for mount in service["volumes"] if mount["type"] == "bind"
        }
        ((inside, outside),) = mounted.items()
        command = [argument.replace(inside, outside) for argument in service["command"]]
        assert command != service["command"]
        environment = {**service["environment"], storage: str(tmp_path), "PATH": os.environ["PATH"]}
        checked = [program(binary), *more, *command]
        done = subprocess.run(checked, env=environment, capture_output=True, text=True, check=False)
        said[name] = (done.returncode, done.stdout + done.stderr)
    assert {name: code for name, (code, _) in said.items()} == dict.fromkeys(checks, 0), said


def test_the_sandboxs_alertmanager_sends_to_the_sandbox(tmp_path: Path) -> None:
    """Its start command, with this machine's folders: the copy is one that Alertmanager takes."""
    service = _config("sandbox")["services"]["sandbox-alertmanager"]
    assert service["entrypoint"] == ["sh", "-c"]
    (command,) = service["command"]
    copy, _, started = command.partition(" && exec ")
    assert started.split()[:2] == ["alertmanager", "--config.file=/tmp/alertmanager.yaml"]
    folder, target = ROOT / "deploy" / "alertmanager", tmp_path / "alertmanager.yaml"
    here = copy.replace("/etc/alertmanager", str(folder)).replace("/tmp/alertmanager.yaml", str(target))
    subprocess.run(["sh", "-c", here], check=True)

    assert "https://api.telegram.org" in (folder / "alertmanager.yaml").read_text()
    assert "api.telegram.org" not in target.read_text()
    assert "http://sandbox:8090" in target.read_text()
    done = subprocess.run(
        [program("amtool"), "check-config", target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


def test_health_checks_ask_as_the_programs_want_to_be_asked(stack: Stack) -> None:
    """Those that are a program's own commands, against the real programs; Tempo knows its since 3.0 only."""
    services = _config("stack")["services"]
    checks = {
        "prometheus": ("http://127.0.0.1:9090", stack.prometheus),
        "alertmanager": ("http://127.0.0.1:9093", stack.alertmanager),
        "loki": ("http://localhost:3100/ready", f"{stack.loki}/ready"),
    }
    nobody = f"http://127.0.0.1:{free_port()}"
    results = {}
    for name, (there, here) in checks.items():
        kind, binary, *arguments = services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        if name == "loki":  # there it is the default
            arguments.append(f"-health.url={there}")
        for address in (here, nobody):
            asked = [argument.replace(there, address) for argument in arguments]
            command = [program(Path(binary).name), *asked]
            results[name, address == here] = subprocess.run(
                command, capture_output=True, check=False
            ).returncode
    assert {key: code == 0 for key, code in results.items()} == {
        (name, well): well for name in checks for well in (True, False)
    }


def test_the_settings_of_the_operator_arrive() -> None:
    config = _config(
        "telegram",
        WEBHOOK_URL="https://bot.example.org",
        GRAFANA_URL="https://grafana.example.org",
        ADMIN_IDS="1,2",
        WORKER_CONCURRENCY="5",
    )["services"]
    environments = [config[name]["environment"] for name in ("bot-1", "bot-2", "worker")]
    assert [told.pop("OTEL_RESOURCE_ATTRIBUTES") for told in environments] == [
        "service.instance.id=bot-1",
        "service.instance.id=bot-2",
        "service.instance.id=worker",
    ]
    bot, other, worker = environments
    assert bot == other
    assert {key: bot[key] for key in ("WEBHOOK_URL", "GRAFANA_URL", "ADMIN_IDS", "WORKER_CONCURRENCY")} == {
        "WEBHOOK_URL": "https://bot.example.org",
        "GRAFANA_URL": "https://grafana.example.org",
        "ADMIN_IDS": "1,2",
        "WORKER_CONCURRENCY": "0",
    }
    assert {key for key in worker if worker[key] != bot[key]} == {"WORKER_CONCURRENCY"}
    assert config["proxy"]["environment"] == {
        "WEBHOOK_URL": "https://bot.example.org",
        "GRAFANA_URL": "https://grafana.example.org",
    }


def _secrets(folder: Path, **environment: str) -> tuple[Path, str]:
    """What `deploy/make-secrets` makes and says, in a copy of its own."""
    (folder / "deploy").mkdir(exist_ok=True)
    script = shutil.copy(ROOT / "deploy" / "make-secrets", folder / "deploy")
    base = {"PATH": os.environ["PATH"]}
    done = subprocess.run([script], env=base | environment, check=True, stdout=subprocess.PIPE, text=True)
    return folder / "deploy" / "secrets", done.stdout


def test_secrets_are_made_once_and_read_by_nobody_outside(tmp_path: Path) -> None:
    made, said = _secrets(tmp_path)
    assert [line for line in said.splitlines() if not line.startswith("made ")] == [
        "deploy/secrets/bot_token is the sandbox's: for Telegram write your own into it",
        "deploy/secrets/alert_chat_id is the sandbox's: for Telegram write your own into it",
    ]
    assert made.stat().st_mode & 0o777 == 0o700
    first = {path.name: (path.stat().st_mode & 0o777, path.read_text()) for path in made.iterdir()}
    assert {mode for mode, _ in first.values()} == {0o644}
    assert first["postgres_password"][1].strip() in first["database_url"][1]

    assert _secrets(tmp_path) == (made, "")
    assert {path.name: (path.stat().st_mode & 0o777, path.read_text()) for path in made.iterdir()} == first


def test_the_operators_token_and_chat_are_taken(tmp_path: Path) -> None:
    made, said = _secrets(tmp_path, BOT_TOKEN="123456:of-the-operator", ALERT_CHAT_ID="-100")
    assert "sandbox" not in said
    assert "of-the-operator" not in said
    assert (made / "bot_token").read_text() == "123456:of-the-operator\n"
    assert (made / "alert_chat_id").read_text() == "-100\n"


@pytest.mark.parametrize(
    "hosts",
    [
        {"WEBHOOK_URL": "https://bot.example.org", "GRAFANA_URL": "https://grafana.example.org"},
        {"WEBHOOK_URL": "https://bot.example.org", "GRAFANA_URL": "http://grafana.invalid"},
        {"WEBHOOK_URL": "http://webhook.invalid", "GRAFANA_URL": "http://grafana.invalid"},
    ],
)
def test_the_proxy_takes_its_file_with_any_hosts(hosts: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            program("caddy"),
            "validate",
            "--config",
            ROOT / "deploy" / "compose" / "Caddyfile",
            "--adapter",
            "caddyfile",
        ],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **hosts},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["Valid configuration"]), done.stderr


@asynccontextmanager
async def _proxy(folder: Path, bots: list[int], port: int) -> AsyncIterator[Process]:
    """The real proxy with the real file; only names and ports are this machine's."""
    text = (ROOT / "deploy" / "compose" / "Caddyfile").read_text()
    for place, here in {
        "bot-1:8080": f"127.0.0.1:{bots[0]}",
        "bot-2:8080": f"127.0.0.1:{bots[1]}",
        "http://proxy:8081": f"http://127.0.0.1:{port}",
        "http://127.0.0.1:8082": f"http://127.0.0.1:{free_port()}",
    }.items():
        assert text.count(place) == 1
        text = text.replace(place, here)
    # No port below 1024, and none that another test may have.
    outside = {
        "WEBHOOK_URL": f"http://webhook.invalid:{free_port()}",
        "GRAFANA_URL": f"http://grafana.invalid:{free_port()}",
    }
    (folder / "Caddyfile").write_text(text)
    process = await asyncio.create_subprocess_exec(
        program("caddy"),
        *("run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"),
        env={"HOME": str(folder), "PATH": os.environ["PATH"], **outside},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _answer(session: aiohttp.ClientSession, method: str, url: str, **more: Any) -> int:
    async with session.request(method, url, **more) as response:
        return response.status


async def _until(session: aiohttp.ClientSession, url: str, status: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await _answer(session, "GET", url) == status:
                    return
            except aiohttp.ClientConnectionError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_the_bots_and_the_proxy_work_with_what_the_file_says(tmp_path: Path, postgres_url: str) -> None:
    """The sandbox profile without containers: the environment of the file, its secrets, its proxy; one bot is killed."""
    config = _config("sandbox")["services"]
    secrets, _ = _secrets(tmp_path)
    token = (secrets / "bot_token").read_text().strip()
    (secrets / "database_url").write_text(re.sub(r"\+asyncpg", "", postgres_url))
    bots, entry = [free_port(), free_port()], free_port()
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(serve("127.0.0.1", 0, token=token))
        session = await stack.enter_async_context(aiohttp.ClientSession(telegram))
        here = {
            "BOT_API_URL": telegram,
            "WEBHOOK_URL": f"http://127.0.0.1:{entry}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": telegram,
        }
        running = []
        for name, port in zip(("sandbox-bot-1", "sandbox-bot-2"), bots, strict=True):
            environment = {**config[name]["environment"], **here, "SECRETS_DIR": str(secrets)}
            ports = {"WEB_PORT": str(port), "METRICS_PORT": str(free_port())}
            folder = tmp_path / name
            folder.mkdir()
            bot = await start(folder, "run", **{**environment, **ports})
            stack.push_async_callback(_end, bot)
            await _until(session, f"http://127.0.0.1:{port}/health/ready", 200)
            running.append(bot)
        await stack.enter_async_context(_proxy(tmp_path, bots, entry))
        webhook = f"http://127.0.0.1:{entry}/telegram/webhook"
        await _until(session, webhook, 405)

        alice = Person(session, ALICE)
        assert "Hello" in await alice.answer_to("/start")
        # What is not the webhook is not there, and what is too large or without the secret does not come in.
        for path in ("/", "/metrics", "/health", "/health/ready", "/telegram"):
            assert await _answer(session, "GET", f"http://127.0.0.1:{entry}{path}") == 404
        json_type = {"Content-Type": "application/json"}
        assert await _answer(session, "POST", webhook, data=b"{}", headers=json_type) == 401
        large = io.BytesIO(b" " * (1 << 20) + b"{}")
        known = {"X-Telegram-Bot-Api-Secret-Token": (secrets / "webhook_secret").read_text().strip()}
        assert await _answer(session, "POST", webhook, data=large, headers=json_type | known) == 413

        running[0].kill()
        await running[0].wait()
        for _ in range(5):
            assert "Hello" in await alice.answer_to("/start")


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.communicate()
