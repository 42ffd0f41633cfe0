"""The door of the control API: who is answered, and a description that is complete."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import jsonschema
import pytest

from app.sandbox.control.mount import ROUTES
from tests.kit.sandbox_client import ALICE, Sandbox, running_sandbox

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
