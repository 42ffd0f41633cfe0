"""Random words, names, links and keys go in at every door and down every path that fails: none comes out of any signal."""

from __future__ import annotations

import asyncio
import sqlite3
import string
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.e2e.test_webhook import PATH, SECRET
from tests.kit.bot import ADMIN, ALICE, BORIS, World, world
from tests.kit.jobs import until
from tests.kit.telemetry import SECRETS, TOKEN, Captured


@dataclass(frozen=True, slots=True)
class Planted:
    """What a person or an attacker can put somewhere. Each is a random word that is nowhere else."""

    first_name: str
    username: str
    language: str
    title: str
    text: str
    prompt: str
    command: str
    payload: str
    debug: str
    pressed: str
    file_name: str
    phone: str
    host: str
    path: str
    query: str
    password: str
    api_key: str
    token: str
    kind: str
    field: str
    header: str
    baggage: str
    secret: str
    body: str
    description: str


words = st.text(string.ascii_letters, min_size=14, max_size=24)
planted = st.lists(
    words, min_size=len(fields(Planted)), max_size=len(fields(Planted)), unique_by=str.lower
).map(lambda drawn: Planted(*drawn))


def message(p: Planted, number: int, user: int = ALICE, **content: Any) -> dict[str, Any]:
    """One update with a message of a person who hides words wherever there is room."""
    person = {
        "id": user,
        "is_bot": False,
        "first_name": p.first_name,
        "username": p.username,
        "language_code": p.language,
    }
    chat = {"id": user, "type": "private", "first_name": p.first_name, "username": p.username}
    return {"message_id": number, "date": 1_790_000_000, "chat": chat, "from": person, **content}


def links(p: Planted, media: str) -> list[str]:
    """Links that are refused at once, by the worker, or by their server."""
    return [
        f"https://{p.host}.invalid/{p.path}?key={p.query}",
        f"http://user:{p.password}@127.0.0.1:1/{p.path}",
        f"ftp://{p.host}/{p.path}",
        f"{media}/{p.path}?api_key=sk-{p.api_key}&token={p.token}",
    ]


def updates(p: Planted, media: str) -> list[dict[str, Any]]:
    """Whatever a person can send."""
    token = f"123456789:{p.token}{'x' * 30}"
    texts = [
        p.text,
        f"draw me {p.prompt} with {token}",
        f"/{p.command} {p.payload}",
        f"/start {p.payload}",
        f"/debug {p.debug}",
        *links(p, media),
    ]
    contents: list[dict[str, Any]] = [
        *({"text": text} for text in texts),
        {"contact": {"phone_number": p.phone, "first_name": p.first_name}},
        {
            "document": {"file_id": p.token, "file_unique_id": p.api_key, "file_name": f"{p.file_name}.pdf"},
            "caption": p.text,
        },
        {"text": 5, p.field: p.text},
    ]
    found = [{"message": message(p, n, **content)} for n, content in enumerate(contents, 1)]
    pressed = {"id": "7", "from": message(p, 1)["from"], "chat_instance": p.title, "data": p.pressed}
    group = {"id": -100, "type": "supergroup", "title": p.title, "username": p.username}
    found += [
        {"message": message(p, 90, ADMIN, text=f"/debug {p.debug}")},
        {"callback_query": {**pressed, "message": message(p, 3, text=p.text)}},
        {"callback_query": {**pressed, "data": f"mm.help.{p.pressed}"}},
        {"edited_message": {**message(p, 91, text=p.text), "edit_date": 1_790_000_001}},
        {"message": {**message(p, 92, text=f"/{p.command}@{p.username}"), "chat": group}},
        {p.kind: {"text": p.text}},
    ]
    return found


async def knock(here: World, p: Planted, first_id: int) -> list[str]:
    """Send everything to the webhook, then what is none of Telegram's; gives all answers."""
    said: list[str] = []
    headers = {**SECRET, "X-Request": p.header, "tracestate": f"a={p.header}", "baggage": f"user={p.baggage}"}
    for number, update in enumerate(updates(p, here.media), first_id):
        async with here.web.post(PATH, headers=headers, json={"update_id": number, **update}) as response:
            assert response.status == 200, await response.text()
            said.append(await response.text())
    strange: list[tuple[int, dict[str, str], Any]] = [
        (401, {"X-Telegram-Bot-Api-Secret-Token": p.secret}, {"json": {"update_id": 1}}),
        (400, SECRET, {"data": f'{{"{p.body}": ', "headers": {"Content-Type": "application/json"}}),
        (400, SECRET, {"json": {"update_id": p.body}}),
        (415, SECRET, {"data": p.body}),
    ]
    for status, given_headers, options in strange:
        merged = {**given_headers, **options.pop("headers", {})}
        async with here.web.post(f"{PATH}?{p.query}", headers=merged, **options) as response:
            assert response.status == status
            said.append(await response.text())
    return said


async def doors_of_operators(here: World) -> list[str]:
    """What operators and scrapers read."""
    said = []
    for path in ("/metrics", "/health", "/"):
        async with here.web.get(path) as response:
            said.append(await response.text())
    return said


def stories(folder: Path) -> list[str]:
    """The table behind `/debug`."""
    with sqlite3.connect(folder / "bot.db") as database:
        return [story for (story,) in database.execute("SELECT story FROM traces")]


def breaks(p: Planted) -> list[dict[str, Any]]:
    """How Telegram refuses, with words in it that are nobody else's business."""
    return [
        {"method": "sendMessage", "kind": "error", "error_code": 400, "description": f"no {p.description}"},
        {"method": "sendMessage", "kind": "error", "error_code": 403, "description": f"no {p.description}"},
        {"method": "editMessageText", "kind": "error", "error_code": 400, "description": p.description},
        {"method": "answerCallbackQuery", "kind": "error", "error_code": 400, "description": p.description},
        {"method": "sendMessage", "kind": "bad_json"},
    ]


def nothing_of(p: Planted, said: list[str]) -> None:
    everything = "\n".join(said).lower()
    assert "update_received" in everything, "the signals were looked at"
    found = [f.name for f in fields(p) if getattr(p, f.name).lower() in everything]
    assert found == []
    assert not [secret for secret in (TOKEN, TOKEN.split(":")[1], *SECRETS) if secret.lower() in everything]


relaxed = settings(
    max_examples=1,
    phases=[Phase.generate],  # an example takes seconds: a smaller one is not worth minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("broken", range(5))
@relaxed
@given(planted)
async def test_nothing_that_people_send_comes_out(
    telemetry: Captured, tmp_path_factory: pytest.TempPathFactory, broken: int, p: Planted
) -> None:
    telemetry.reset()
    folder = tmp_path_factory.mktemp("doors")
    async with world(telemetry, folder, bot_mode="webhook", inbox_limit=1000) as here:
        said = await knock(here, p, 1)
        await here.updates_done()
        await here.fault(times=30, **breaks(p)[broken])
        said += await knock(here, p, 101)
        await here.updates_done()
        said += await doors_of_operators(here)
    nothing_of(p, [*said, telemetry.everything(), *stories(folder)])


@pytest.mark.parametrize("table", ["jobs", "active_users", "traces"])
@relaxed
@given(planted)
async def test_no_error_of_the_database_quotes_what_was_to_be_written(
    telemetry: Captured, tmp_path_factory: pytest.TempPathFactory, table: str, p: Planted
) -> None:
    telemetry.reset()
    folder = tmp_path_factory.mktemp("doors")
    async with world(telemetry, folder, bot_mode="webhook") as here:
        await asyncio.to_thread(lose, folder, table)
        # Who waits for a retry holds up nobody else.
        for user, link in zip((ALICE, BORIS, ADMIN), links(p, here.media)[1:], strict=True):
            update = {"update_id": user, "message": message(p, 1, user, text=link)}
            async with here.web.post(PATH, headers=SECRET, json=update) as response:
                assert response.status == 200

        async def tried() -> bool:
            ended = [line for line in telemetry.lines() if line["message"].startswith("DISPATCH_")]
            return {line["update_id"] for line in ended} == {ALICE, BORIS, ADMIN}

        await until(tried)
        said = await doors_of_operators(here)
    nothing_of(p, [*said, telemetry.everything()])


def lose(folder: Path, table: str) -> None:
    """Take a table away from the running bot. On a thread: its own transaction may need the loop to end."""
    with sqlite3.connect(folder / "bot.db", timeout=20) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO gone")
