"""The package as others get it: what the wheel holds, and `opentelemetry-instrument` on a bot that knows nothing of it."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "src" / "opentelemetry" / "instrumentation" / "aiogram"

BOT = """
import asyncio
import sys

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiohttp import web

dispatcher = Dispatcher(name="main")


@dispatcher.message()
async def greet(message):
    await message.answer("hello")


async def send_message(request):
    leaked = {"traceparent", "baggage"} & {name.lower() for name in request.headers}
    chat = {"id": 1, "type": "private"}
    return web.json_response({"ok": not leaked, "result": {"message_id": 8, "date": 1, "chat": chat}})


async def main():
    app = web.Application()
    app.router.add_post("/bot%(token)s/sendMessage", send_message)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = TelegramAPIServer.from_base("http://127.0.0.1:%%d" %% runner.addresses[0][1])
    bot = Bot("%(token)s", session=AiohttpSession(api=api))
    chat = {"id": 1, "type": "private"}
    message = {"message_id": 1, "date": 1, "chat": chat, "text": "hi"}
    await dispatcher.feed_raw_update(bot, {"update_id": 7, "message": message})
    await bot.session.close()
    await runner.cleanup()


asyncio.run(main())
print(sys.modules["opentelemetry.instrumentation.aiogram"].__file__, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    sources = {
        f"opentelemetry/instrumentation/aiogram/{path.name}" for path in PACKAGE.iterdir() if path.is_file()
    }
    assert {name for name in names if ".dist-info/" not in name} == sources
    assert {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_namespace_belongs_to_nobody() -> None:
    namespaces = (PACKAGE.parent, PACKAGE.parent.parent)

    assert [path for namespace in namespaces for path in namespace.glob("*.py")] == []


def foreign_project(folder: Path, wheel: Path) -> tuple[Path, Path]:
    """An environment with our wheel, and with the packages of this one, that knows nothing of our sources."""
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # A path in such a file is searched, but the files of that kind in it, such as that of our sources, are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv" / "bin", packages


def test_opentelemetry_instrument_traces_a_foreign_bot(tmp_path: Path, wheel: Path) -> None:
    token = "4242424242:AAForeign_0123456789-abcdefghijklmnop"
    (tmp_path / "bot.py").write_text(BOT % {"token": token})
    # What the package opentelemetry-distro adds: the entry point that sets the SDK up from the environment.
    distro = tmp_path / "configurator-1.dist-info"
    distro.mkdir()
    (distro / "METADATA").write_text("Metadata-Version: 2.1\nName: configurator\nVersion: 1\n")
    configurator = "opentelemetry.sdk._configuration:_OTelSDKConfigurator"
    (distro / "entry_points.txt").write_text(f"[opentelemetry_configurator]\nconfigurator = {configurator}\n")

    programs, packages = foreign_project(tmp_path, wheel)
    # What the script `opentelemetry-instrument` does, with the Python of the foreign project.
    instrument = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    ran = subprocess.run(
        [programs / "python", "-c", instrument, "python", "bot.py"],
        cwd=tmp_path,
        env={
            "PATH": f"{programs}{os.pathsep}{os.defpath}",
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[-1] == str(
        packages / "opentelemetry" / "instrumentation" / "aiogram" / "__init__.py"
    )
    call, handler, update = spans = printed_spans(ran.stdout)
    assert [span["name"] for span in spans] == ["sendMessage", "handle greet", "process message"]
    assert [span["parent_id"] for span in spans] == [
        handler["context"]["span_id"],
        update["context"]["span_id"],
        None,
    ]
    assert update["attributes"]["telegram.update.outcome"] == "handled"
    assert call["attributes"]["rpc.response.status_code"] == "200"
    assert token not in ran.stdout


def printed_spans(text: str) -> list[dict[str, Any]]:
    """The JSON objects that the console exporter printed one after the other."""
    decoder, spans = json.JSONDecoder(), []
    while text := text.lstrip():
        span, end = decoder.raw_decode(text)
        spans.append(span)
        text = text[end:]
    return spans
