"""The number of series and of streams depends on the code alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from deploy.native.run import Stack
from tests.kit.person import Person
from tests.stack.backends import eventually, get, lines, series
from tests.stack.bots import Bot, bot

_SCRAPED, _SENT = "tracegram", "otlp/tracegram"
_PEOPLE = 25


async def _talk(here: Bot, first: int) -> int:
    """New people, each of whom says something, presses a button, and one that is not there; the last update's number."""
    last = 0
    for uid in range(first, first + _PEOPLE):
        async with here.sandbox.post("/sandbox/users", json={"id": uid, "first_name": f"P{uid}"}) as answer:
            assert answer.status == 200, await answer.text()
        person = Person(here.sandbox, uid)
        await person.say("/start")
        menu = await person.until(lambda m: m["keyboard"])
        await person.press(menu["message_id"], "mm.help")
        last = (await person.press(menu["message_id"], "no.such", force=True))["update_id"]
    return last


async def _seen(stack: Stack, update_id: int, since: float) -> None:
    """Wait until Loki has the update, and Prometheus what this bot counted with it, both ways."""
    await eventually(lambda: lines(stack, f'{{service_name="tracegram"}} | update_id="{update_id}"'))
    for job in (_SCRAPED, _SENT):
        # The bot before it had counted as much, and its last numbers are there for minutes.
        presses = f'bot_callbacks_total{{job="{job}",reason="UNKNOWN_CALLBACK"}}'
        pressed = f"sum({presses} and timestamp({presses}) > {since}) >= {_PEOPLE}"
        await eventually(lambda pressed=pressed: series(stack, pressed), 90)  # type: ignore[misc]  # bound, not late


async def _names(stack: Stack, job: str) -> set[tuple[tuple[str, str], ...]]:
    """Every series that a job has now, as its labels, the instance among them.

    Alerts of the moment are not the job's, and a disk that takes seconds is not what is asked for here.
    """
    found = await series(stack, f'{{job="{job}",__name__!~"ALERTS.*",error_type!="InboxUnavailable"}}')
    return {tuple(sorted(one["metric"].items())) for one in found}


async def _streams(stack: Stack) -> list[dict[str, Any]]:
    found = await get(f"{stack.loki}/loki/api/v1/series", **{"match[]": '{service_name="tracegram"}'})
    return list(found["data"])


@pytest.mark.timeout(300)
async def test_people_chats_and_restarts_add_no_series_and_no_stream(stack: Stack, tmp_path: Path) -> None:
    began = time.time()
    async with bot(stack, tmp_path) as here:
        await _seen(stack, await _talk(here, 5000), began)
        before = {job: await _names(stack, job) for job in (_SCRAPED, _SENT, "spans/tracegram")}
    began = time.time()
    async with bot(stack, tmp_path) as here:
        await _seen(stack, await _talk(here, 6000), began)
        after = {job: await _names(stack, job) for job in (_SCRAPED, _SENT, "spans/tracegram")}

    assert {job: after[job] - before[job] for job in after} == {job: set() for job in after}
    assert await _streams(stack) == [{"service_name": "tracegram"}]
