"""The image: built from the Dockerfile as it stands, run as an engine runs it, and asked to do its main job."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from app.jobs.engines.ffmpeg import find_ffmpeg
from app.sandbox.media import serve_media
from app.sandbox.server import serve
from tests.kit.bot import ALICE, free_port
from tests.kit.image import Image, built
from tests.kit.person import Person
from tests.kit.telemetry import TOKEN

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount what an engine mounts"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built() as found:
        yield found


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The volume, as an engine makes it from the image's folder."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o750)
    os.chown(folder, 10001, 10001)
    return folder


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "bot_token").write_text(f"{TOKEN}\n")
    return folder


@asynccontextmanager
async def _running(image: Image, state: Path, secrets: Path, **settings: str) -> AsyncIterator[Process]:
    command = [*image.config["Entrypoint"], *image.config["Cmd"]]
    process = await image.start(state, secrets, *command, **settings)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _is_healthy(image: Image, state: Path, secrets: Path, port: int) -> bool:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    asked = await image.start(state, secrets, *command, WEB_PORT=str(port))
    await asked.communicate()
    return asked.returncode == 0


def test_the_image_says_how_it_is_run(image: Image) -> None:
    said = {name: image.config[name] for name in ("User", "Entrypoint", "Cmd", "StopSignal", "WorkingDir")}
    assert said == {
        "User": "10001:10001",
        "Entrypoint": ["tini", "--", "tracegram"],
        "Cmd": ["run"],
        "StopSignal": "SIGTERM",
        "WorkingDir": "/var/lib/tracegram",
    }
    assert (image.config["ExposedPorts"], image.config["Volumes"]) == (
        {"8080/tcp": {}},
        {"/var/lib/tracegram": {}},
    )


def test_nothing_that_is_not_needed_is_in_the_image(image: Image) -> None:
    """No compiler, no build tools, no tests, no locks, and nothing of the folder that it was built in."""
    site = next((image.root / "opt" / "tracegram" / "lib").glob("python3.*")) / "site-packages"
    assert [
        name for name in ("pip", "hatchling", "pytest", "tests", "setuptools") if (site / name).exists()
    ] == []
    assert (site / "app" / "cli.py").is_file()
    left = [name for name in ("build", "opt/tools", "usr/bin/gcc", "app") if (image.root / name).exists()]
    assert left == []


async def test_it_does_the_main_job_with_a_read_only_root_and_no_rights(
    image: Image, state: Path, secrets: Path, tmp_path: Path
) -> None:
    port = free_port()
    async with (
        serve_media("127.0.0.1", 0, find_ffmpeg(None), samples_dir=tmp_path) as media,
        serve("127.0.0.1", 0, token=TOKEN) as url,
        aiohttp.ClientSession(url) as session,
    ):
        settings = {"BOT_API_URL": url, "WEB_PORT": str(port), "ALLOW_HOSTS": media.removeprefix("http://")}
        assert not await _is_healthy(image, state, secrets, port)
        async with _running(image, state, secrets, **settings) as bot:
            deadline = time.monotonic() + 60
            while not await _is_healthy(image, state, secrets, port):
                assert bot.returncode is None
                assert time.monotonic() < deadline
            alice = Person(session, ALICE)
            await alice.say(f"{media}/watch/sample")
            await alice.until(lambda m: m["attachment"], patience_s=60)

            # `unshare` keeps its signals to itself: process 1 inside is its child.
            inside = int(Path(f"/proc/{bot.pid}/task/{bot.pid}/children").read_text())
            os.kill(inside, 15)
            assert await asyncio.wait_for(bot.wait(), 10) == 0
        assert sorted(path.name for path in state.iterdir()) == ["bot.db"]


async def test_what_it_cannot_read_is_told_in_one_sentence(image: Image, state: Path, secrets: Path) -> None:
    """A secret with the rights of its owner outside, as an engine mounts it."""
    (secrets / "bot_token").chmod(0o600)
    process = await image.start(state, secrets, *image.config["Entrypoint"], "doctor")
    _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (
        2,
        "tracegram: SECRETS_DIR: cannot read a file in /run/secrets (permission denied). "
        "The user that runs this process must be allowed to.\n",
    )
