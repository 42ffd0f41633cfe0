"""A real Alertmanager tells the chat of an admin in the local Telegram: at once, once, readably, and when it is over."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.alerts.rules import Alert
from deploy.native.alertmanager import here
from deploy.native.build import program
from tests.kit.bot import free_port
from tests.kit.repository import ROOT
from tests.kit.sandbox_client import TOKEN, running_sandbox
from tests.kit.serving import serving
from tests.stack.promtool import ALERTS

#: Ada Admin of the local Telegram.
ADMIN = 1000
SOURCE = ROOT / "deploy" / "alertmanager"
#: Alertmanager looks at a group once in so long; shorter than a person would want, so that the test need not wait.
QUICK = {"group_interval: 1m": "group_interval: 1s", "group_wait: 30s": "group_wait: 1s"}


@dataclass(frozen=True)
class Manager:
    """A running Alertmanager."""

    url: str
    http: aiohttp.ClientSession

    async def post(self, *alerts: dict[str, Any]) -> None:
        """Tell it of alerts, as Prometheus does."""
        async with self.http.post(f"{self.url}/api/v2/alerts", json=alerts) as response:
            assert response.status == 200, await response.text()

    async def suppressed(self) -> set[str]:
        """The names of alerts that nobody is told of because of another one."""
        async with self.http.get(f"{self.url}/api/v2/alerts") as response:
            found = await response.json()
        return {alert["labels"]["alertname"] for alert in found if alert["status"]["inhibitedBy"]}

    async def failures(self) -> float:
        """Messages that it could not deliver."""
        async with self.http.get(f"{self.url}/metrics") as response:
            text = await response.text()
        found = re.findall(r"^alertmanager_notifications_failed_total\{.*\} (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


@asynccontextmanager
async def manager(folder: Path, configuration: str) -> AsyncIterator[Manager]:
    """Alertmanager with this configuration, on a free port."""
    shutil.copytree(SOURCE / "templates", folder / "templates")
    (folder / "alertmanager.yaml").write_text(configuration, encoding="utf-8")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("alertmanager"),
            f"--config.file={folder / 'alertmanager.yaml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
        )
    try:
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{port}"

            async def ready() -> bool:
                try:
                    async with http.get(f"{url}/-/ready") as response:
                        return response.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await until(ready)
            yield Manager(url, http)
    finally:
        process.terminate()
        await process.wait()


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.1)


#: Long ago: Alertmanager does not wait for others to come with such an alert.
BEGAN = "2026-11-26T10:00:00Z"
#: Where the runbooks are, unless a test says otherwise.
BOOKS = "https://example.org/runbooks"


def alert(
    name: str,
    severity: str,
    summary: str,
    *,
    over: bool = False,
    began: str = BEGAN,
    books: str = BOOKS,
    **labels: str,
) -> dict[str, Any]:
    """An alert of the rules as Prometheus sends it; it goes on, or is over since a second."""
    declared: Alert = ALERTS[name, severity]
    now = datetime.now(UTC)
    ends = now - timedelta(seconds=1) if over else now + timedelta(minutes=5)
    return {
        "labels": {"alertname": name, **declared.all_labels(), **labels},
        "annotations": {**declared.annotations(books), "summary": summary},
        "startsAt": began,
        "endsAt": ends.isoformat(),
    }


def secrets(folder: Path, **files: str) -> Path:
    """Files as a container engine mounts them."""
    (folder / "secrets").mkdir()
    for name, text in files.items():
        (folder / "secrets" / name).write_text(text + "\n", encoding="utf-8")
    return folder / "secrets"


def quick(configuration: str) -> str:
    """The same routes with shorter waits."""
    for slow, fast in QUICK.items():
        assert slow in configuration
        configuration = configuration.replace(slow, fast)
    return configuration


DOWN = ("HealthFailing", "critical", "/health of bot-1:9464 fails <&>")
DROPPED = ("TelemetryDropped", "warning", "bot-1:9464 loses spans")


async def test_an_alert_reaches_the_chat_and_so_does_its_end(tmp_path: Path) -> None:
    async with running_sandbox() as telegram:
        await telegram.write("/start", ADMIN)
        configuration = here(
            (SOURCE / "alertmanager.yaml").read_text(encoding="utf-8"),
            secrets(tmp_path, bot_token=TOKEN, alert_chat_id=str(ADMIN)),
            bot_api=telegram.url,
        )
        async with manager(tmp_path, quick(configuration)) as alertmanager:

            async def told(number: int) -> list[dict[str, Any]]:
                async def so_many() -> bool:
                    return len(await telegram.chat(ADMIN)) > number

                await until(so_many)
                return (await telegram.chat(ADMIN))[1:]

            await alertmanager.post(alert(*DOWN, instance="bot-1:9464"))
            (firing,) = await told(1)
            assert firing["text"].strip() == (
                "🔴 HealthFailing · critical\n"
                "/health of bot-1:9464 fails <&>\n"
                "A part that /health asks was down for five scrapes: /health answers 503.\n"
                "since 2026-11-26 10:00:00 UTC · runbook"
            )
            links = [entity.get("url") for entity in firing["entities"] if entity["type"] == "text_link"]
            assert links == ["https://example.org/runbooks/HealthFailing.md"]

            ended = alert(*DOWN, instance="bot-1:9464", over=True)
            await alertmanager.post(ended)
            resolved = (await told(2))[-1]
            over = datetime.fromisoformat(ended["endsAt"]).strftime("%Y-%m-%d %H:%M:%S")
            assert resolved["text"].strip() == (
                f"🟢 HealthFailing · resolved · bot-1:9464\n2026-11-26 10:00:00 to {over} UTC"
            )

            # Whoever is not called for: a watchdog, and what follows from an instance that is down.
            down = alert(
                "InstanceDown", "warning", "bot-1:9464 does not answer Prometheus", instance="bot-1:9464"
            )
            follows = [alert(*DOWN, instance="bot-1:9464"), alert(*DROPPED, instance="bot-1:9464")]
            await alertmanager.post(alert("Watchdog", "info", "Alerts get through"), down)
            quiet = (await told(3))[-1]
            assert quiet["text"].splitlines()[0] == "🟠 InstanceDown · warning"
            await alertmanager.post(*follows)

            async def both_suppressed() -> bool:
                return await alertmanager.suppressed() == {"HealthFailing", "TelemetryDropped"}

            await until(both_suppressed)
            # Some intervals later there is still nothing more.
            await asyncio.sleep(3)
            assert len(await telegram.chat(ADMIN)) == 4
            assert await alertmanager.failures() == 0


async def test_a_dead_database_is_told_and_not_what_follows_from_it(tmp_path: Path) -> None:
    """In the order in which the rules fire. Three critical alerts told of one database, the cause last of all."""
    two = ("bot-1:9464", "bot-2:9464")
    age = "The heartbeat of the lease is missing or old"
    burns = "The budget of the objective availability burns 17 times as fast as it may"
    async with running_sandbox() as telegram:
        await telegram.write("/start", ADMIN)
        configuration = here(
            (SOURCE / "alertmanager.yaml").read_text(encoding="utf-8"),
            secrets(tmp_path, bot_token=TOKEN, alert_chat_id=str(ADMIN)),
            bot_api=telegram.url,
        )
        async with manager(tmp_path, quick(configuration)) as alertmanager:

            async def chat() -> list[str]:
                return [message["text"] for message in (await telegram.chat(ADMIN))[1:]]

            async def cause_told() -> bool:
                return sum(text.count("🔴 DatabaseIssues") for text in await chat()) >= 2

            badly = "The database does not serve {} as it should"
            await alertmanager.post(
                *(alert("DatabaseIssues", "critical", badly.format(one), instance=one) for one in two)
            )
            await until(cause_told)
            await alertmanager.post(
                *(alert("HealthFailing", "critical", "/health fails", instance=one) for one in two),
                alert("HeartbeatStale", "critical", age),
                alert("AvailabilityBudgetBurn", "critical", burns),
                alert("InboxBackup", "warning", "81 updates wait or run"),
            )

            async def all_kept_back() -> bool:
                kept = {"HealthFailing", "HeartbeatStale", "AvailabilityBudgetBurn", "InboxBackup"}
                return await alertmanager.suppressed() == kept

            await until(all_kept_back)
            # Nothing else keeps back that nobody is ACTIVE.
            await alertmanager.post(
                alert("NoLeader", "critical", "No instance is ACTIVE: nothing is processed")
            )

            async def no_leader_told() -> bool:
                return any("NoLeader" in text for text in await chat())

            await until(no_leader_told)
            told = {line for text in await chat() for line in text.splitlines() if line.startswith("🔴")}
            assert told == {"🔴 DatabaseIssues · critical", "🔴 NoLeader · critical"}
            assert await alertmanager.failures() == 0


async def test_a_whole_outage_is_one_message_that_telegram_takes(tmp_path: Path) -> None:
    """Forty alerts at once, each with texts full of what HTML must escape."""
    async with running_sandbox() as telegram:
        await telegram.write("/start", ADMIN)
        configuration = here(
            (SOURCE / "alertmanager.yaml").read_text(encoding="utf-8"),
            secrets(tmp_path, bot_token=TOKEN, alert_chat_id=str(ADMIN)),
            bot_api=telegram.url,
        )
        async with manager(tmp_path, quick(configuration)) as alertmanager:
            now = datetime.now(UTC).isoformat()
            many = [alert(*DROPPED, began=now, instance=f"bot-{n}:9464", signal="spans") for n in range(40)]
            await alertmanager.post(*many)

            async def told() -> bool:
                return len(await telegram.chat(ADMIN)) == 2

            await until(told)
            text = (await telegram.chat(ADMIN))[1]["text"]
            assert text.count("🟠 TelemetryDropped · warning") == 10
            assert text.strip().splitlines()[-1] == "and more: 40 alerts in all"
            assert await alertmanager.failures() == 0


async def test_ten_databases_that_are_away_and_ten_that_are_back_are_one_message_that_telegram_takes(
    tmp_path: Path,
) -> None:
    """Alertmanager cut what was too long in the middle of a link, and Telegram refused it again and again."""
    books = f"https://git.example.org/operations/telegram/{'tracegram/' * 5}docs/runbooks"
    async with running_sandbox() as telegram:
        await telegram.write("/start", ADMIN)
        configuration = here(
            (SOURCE / "alertmanager.yaml").read_text(encoding="utf-8"),
            secrets(tmp_path, bot_token=TOKEN, alert_chat_id=str(ADMIN)),
            bot_api=telegram.url,
        )
        # All of them come together.
        configuration = quick(configuration).replace("group_wait: 0s", "group_wait: 1s")
        async with manager(tmp_path, configuration) as alertmanager:
            now = datetime.now(UTC).isoformat()
            names = [f"tracegram-bot-{n}.example.org:9464" for n in range(20)]
            badly = "The database does not serve {} as it should"
            await alertmanager.post(
                *(
                    alert(
                        *("DatabaseIssues", "critical", badly.format(name)),
                        over=number >= 10,
                        began=now if number < 10 else BEGAN,
                        books=books,
                        instance=name,
                    )
                    for number, name in enumerate(names)
                )
            )

            async def answered() -> bool:
                return len(await telegram.chat(ADMIN)) == 2 or await alertmanager.failures() > 0

            await until(answered)
            assert await alertmanager.failures() == 0
            text = (await telegram.chat(ADMIN))[1]["text"]
            assert text.count("🔴 DatabaseIssues · critical") == 10
            assert text.count("🟢 DatabaseIssues · resolved") == 3
            assert text.strip().splitlines()[-1] == "and more: 10 resolved in all"


Door = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def before_a_door(
    folder: Path, door: Door, shortened: Callable[[str], str], *, instead_of: str
) -> AsyncIterator[Manager]:
    """One that calls the bot, for which a server stands in here, where the configuration names another receiver."""
    application = web.Application()
    application.router.add_post("/alertmanager/webhook", door)
    async with serving(application) as url:
        configuration = here(
            (SOURCE / "alertmanager.yaml").read_text(encoding="utf-8"),
            secrets(folder, bot_token=TOKEN, alert_chat_id="1", alert_webhook_token="a-token"),
            bot=url,
        )
        configuration = configuration.replace(f"receiver: {instead_of}", "receiver: bot")
        async with manager(folder, shortened(configuration)) as alertmanager:
            yield alertmanager


async def test_the_bots_receiver_calls_its_door_with_its_token(tmp_path: Path) -> None:
    """What the door will get, once there is one."""
    calls: list[tuple[str, str | None, dict[str, Any]]] = []

    async def door(request: web.Request) -> web.Response:
        calls.append((request.path, request.headers.get("Authorization"), await request.json()))
        return web.json_response({})

    async def called() -> bool:
        return bool(calls)

    async with before_a_door(tmp_path, door, quick, instead_of="telegram-loud") as alertmanager:
        await alertmanager.post(alert(*DOWN, instance="bot-1:9464"))
        await until(called)
    path, authorization, body = calls[0]
    assert (path, authorization) == ("/alertmanager/webhook", "Bearer a-token")
    sent = alert(*DOWN, instance="bot-1:9464")
    assert [(one["status"], one["labels"], one["annotations"]) for one in body["alerts"]] == [
        ("firing", sent["labels"], sent["annotations"])
    ]


def fiftieth(configuration: str) -> str:
    """The same routes with every time fifty times shorter."""

    def shorter(found: re.Match[str]) -> str:
        sizes = {"h": 72_000, "m": 1200, "s": 20}
        parts = re.findall(r"(\d+)([hms])", found[2])
        return f"{found[1]}: {sum(int(number) * sizes[unit] for number, unit in parts)}ms"

    return re.sub(r"(group_wait|group_interval|repeat_interval): (\S+)", shorter, configuration)


async def test_an_alert_is_told_again_when_it_is_meant_although_an_answer_takes_a_while(
    tmp_path: Path,
) -> None:
    """QueueBackup came every 20 minutes instead of 15, since the answer to a message is never there at once."""
    calls: list[float] = []

    async def door(_: web.Request) -> web.Response:
        calls.append(time.monotonic())
        await asyncio.sleep(0.2)
        return web.json_response({})

    async def twice() -> bool:
        return len(calls) == 2

    async with before_a_door(tmp_path, door, fiftieth, instead_of="telegram-quiet") as alertmanager:
        await alertmanager.post(alert("QueueBackup", "warning", "51 jobs wait"))
        await until(twice)
    looks = (calls[1] - calls[0]) / 6
    assert round(looks) == 15 / 5


def test_a_configuration_without_what_is_to_be_replaced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"https://api\.telegram\.org is not in the configuration"):
        here("route: /run/secrets/x", tmp_path, bot_api="http://127.0.0.1:1")
