"""The door of the control API: who is answered, and a description that is complete."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import aiohttp
import jsonschema
import pytest

from app.demo import stage
from app.sandbox.control.mount import ROUTES
from tests.kit.sandbox_client import ALICE, TOKEN, Sandbox, running_sandbox

MARKUP = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:{port}", None, 200),
        ("localhost:{port}", None, 200),
        ("[::1]:{port}", None, 200),
        ("127.9.9.9", None, 200),
        ("evil.example:{port}", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("localhost@evil.example", None, 403),
        ("192.168.0.5:{port}", None, 403),
        ("", None, 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 200),
        ("127.0.0.1:{port}", "http://127.0.0.1:9", 403),
        ("127.0.0.1:{port}", "https://evil.example", 403),
        ("127.0.0.1:{port}", "null", 403),
    ],
)
async def test_only_loopback_names_and_the_own_page_are_answered(
    box: Sandbox, host: str, origin: str | None, status: int
) -> None:
    port = box.url.rpartition(":")[2]
    headers = {"Host": host.format(port=port)}
    if origin is not None:
        headers["Origin"] = origin.format(port=port)
    async with box.http.post(f"{box.url}/sandbox/reset", headers=headers) as response:
        assert response.status == status
        assert (await response.json() == {}) is (status == 200)
    async with box.http.delete(f"{box.url}/sandbox/faults", headers=headers) as response:
        assert response.status == status


async def test_a_public_address_is_trusted_when_it_is_given() -> None:
    async with running_sandbox(public_url="https://sandbox.example") as box:
        headers = {"Host": "sandbox.example", "Origin": "https://sandbox.example"}
        async with box.http.post(f"{box.url}/sandbox/reset", headers=headers) as response:
            assert response.status == 200


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    # A name that its owner rebound to this machine: for the browser all of it is one site.
    {"Host": "evil.example:8090", "Sec-Fetch-Site": "same-origin"},
    {"Host": "evil.example:8090", "Origin": "http://evil.example:8090"},
    {"Host": "evil.example:8090", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"},
]
PROGRAMS = [
    {},
    {"Host": "sandbox:8090"},
    # What the `fetch` of Node.js sends.
    {"Host": "sandbox:8090", "Sec-Fetch-Mode": "cors", "Accept-Language": "*", "User-Agent": "node"},
    {"Host": "sandbox.example", "Sec-Fetch-Site": "same-origin", "Origin": "https://sandbox.example"},
    {"Sec-Fetch-Site": "none", "User-Agent": "Mozilla/5.0"},
]
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_foreign_page_drives_no_bot_and_exports_nothing(
    box: Sandbox, headers: dict[str, str]
) -> None:
    for address in ("bot99:evil/setWebhook?url=http://127.0.0.1:9/", f"file/bot{TOKEN}/music/file_1.mp3"):
        async with box.http.get(f"{box.url}/{address}", headers=headers) as response:
            assert response.status == 403
            assert (await response.json())["error_code"] == 403
    for signal in ("traces", "logs", "metrics"):
        url = f"{box.url}/v1/{signal}"
        async with box.http.post(url, data=b"", headers=headers | PROTOBUF) as response:
            assert response.status == 403
    assert [bot["id"] for bot in (await box.get("state"))["bots"]] == [42]


@pytest.mark.parametrize("headers", PROGRAMS)
async def test_a_program_reaches_the_doors_of_bots_by_any_name(headers: dict[str, str]) -> None:
    async with running_sandbox(public_url="https://sandbox.example") as box:
        async with box.http.get(f"{box.url}/bot{TOKEN}/getMe", headers=headers) as response:
            assert response.status == 200
        url = f"{box.url}/v1/traces"
        async with box.http.post(url, data=b"", headers=headers | PROTOBUF) as response:
            assert response.status == 200


async def test_nobody_knows_the_demos_token_beforehand() -> None:
    async with stage(0) as demo, aiohttp.ClientSession(demo.url) as http:
        async with http.get("/sandbox/state") as response:
            (bot,) = (await response.json())["bots"]
        async with http.get(f"/bot{bot['id']}:sandbox-token-that-opens-nothing-elsewhere/getMe") as response:
            assert response.status == 401


async def test_the_description_names_every_door_and_its_shapes_hold(box: Sandbox) -> None:
    document = await box.get("openapi.json")
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for path, item in document["paths"].items():
        for operation in item.values():
            in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert set(references) == set(document["components"]["schemas"])

    await box.result("sendMessage", chat_id=ALICE, text="hi", reply_markup=MARKUP)
    await box.post("faults", {"method": "*", "kind": "delay"})
    for path in (
        "state",
        "users",
        f"users/{ALICE}/messages",
        f"users/{ALICE}/commands",
        "messages/1",
        "calls",
        "faults",
        "clock",
        "traces",
    ):
        pattern = re.sub(r"\d+", "{%s}" % ("uid" if "users/" in path else "message_id"), f"/sandbox/{path}")
        schema = document["paths"][pattern]["get"]["responses"]["200"]["content"]["application/json"][
            "schema"
        ]
        jsonschema.validate(await box.get(path), {**schema, "components": document["components"]})
