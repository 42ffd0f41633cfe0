"""A token, a name, a text and a link go through every failure path: none of it may come out of any signal."""

from __future__ import annotations

import io
import re
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot
from aiogram.types import File

from app.bot.dispatcher import create_bot
from tests.kit.bot import ALICE, free_port, world
from tests.kit.telemetry import SECRETS, TOKEN, Captured

SECRET_HALF = TOKEN.split(":")[1]
SAID = "meine Worte sind geheim"

FAULTS: list[dict[str, Any]] = [
    {"kind": "error", "error_code": 429, "retry_after": 1},
    {"kind": "error", "error_code": 400, "description": "Bad Request: something"},
    {"kind": "error", "error_code": 401, "description": "Unauthorized"},
    {"kind": "error", "error_code": 403, "description": "Forbidden: bot was blocked by the user"},
    {"kind": "error", "error_code": 404, "description": "Not Found"},
    {"kind": "error", "error_code": 502, "description": "Bad Gateway"},
    {"kind": "bad_json"},
    {"kind": "drop"},
    {"kind": "delay", "delay_s": 2},
]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{f['kind']} {f.get('error_code', '')}" for f in FAULTS])
async def test_no_failure_of_the_bot_api_lets_the_token_out(
    telemetry: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr("app.bot.dispatcher.REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr("app.updates.patience._LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr("app.updates.patience._PASSING", 2)
    monkeypatch.setattr("app.updates.patience._PASSING_S", 0.0)
    async with world(telemetry, tmp_path) as here:
        await here.fault(method="sendMessage", times=50, **fault)
        await here.alice.say(SAID)
        await here.updates_done()
    # The failure was seen: the span of the call is red, the log has a line, and there is no secret in either.
    calls = [span for span in telemetry.spans() if span.name == "sendMessage"]
    assert calls
    assert all(not span.status.is_ok for span in calls)
    assert any(line["level"] in ("ERROR", "WARNING") for line in telemetry.lines())
    _nothing_secret(telemetry.everything())


def _nothing_secret(text: str) -> None:
    for secret in (TOKEN, SECRET_HALF, *SECRETS, SAID, "Alice"):
        assert secret not in text
    # Four digits turn up inside random ids and times, too: as a number of its own the user's id may not be there.
    assert not re.search(rf"(?<![0-9a-f.]){ALICE}(?![0-9a-f])", text)


Call = Callable[[Bot], Awaitable[object]]


async def _send(bot: Bot) -> object:
    return await bot.send_message(ALICE, SAID)


async def _missing_file(bot: Bot) -> object:
    return await bot.download_file("documents/none.bin", io.BytesIO())


async def _missing_file_object(bot: Bot) -> object:
    return await bot.download(File(file_id="x", file_unique_id="x", file_path="none"), io.BytesIO())


@pytest.mark.parametrize("call", [_send, _missing_file, _missing_file_object])
@pytest.mark.parametrize("fault", [*FAULTS, {"kind": "none"}, {"kind": "refused"}], ids=str)
async def test_no_exception_text_holds_the_token(
    telemetry: Captured,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Call,
    fault: dict[str, Any],
) -> None:
    monkeypatch.setattr("app.bot.dispatcher.REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr("app.bot.middlewares.retry._FIRST_BACKOFF_S", 0.01)
    async with world(telemetry, tmp_path) as here:
        if fault["kind"] not in ("none", "refused"):
            method = "sendMessage" if call is _send else "file"
            await here.fault(method=method, times=50, **fault)
        url = f"http://127.0.0.1:{free_port()}" if fault["kind"] == "refused" else str(here.sandbox._base_url)
        bot = create_bot(TOKEN, url.rstrip("/"))
        try:
            await call(bot)
        except Exception as error:
            said = "".join(traceback.format_exception(error)) + repr(error)
        else:
            said = ""
        finally:
            await bot.session.close()
    assert bool(said) == (call is not _send or fault["kind"] != "none")
    assert TOKEN not in said
    assert SECRET_HALF not in said
