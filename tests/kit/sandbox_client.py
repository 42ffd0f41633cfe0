"""A sandbox on a free port, and both ends of it: the Bot API as a bot calls it, the control API as a test does."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Unpack

import aiohttp

from app.sandbox.server import BuildOptions, serve

TOKEN = "42:TEST-token"
ALICE = 1001
BORIS = 1002


@dataclass(frozen=True)
class Sandbox:
    url: str
    http: aiohttp.ClientSession

    async def call(self, method: str, token: str = TOKEN, **params: Any) -> dict[str, Any]:
        """Call a method with a JSON body; the HTTP status must say the same as the envelope."""
        async with self.http.post(f"{self.url}/bot{token}/{method}", json=params) as response:
            body: dict[str, Any] = await response.json()
            assert response.status == (200 if body["ok"] else body["error_code"])
            return body

    async def result(self, method: str, **params: Any) -> Any:
        body = await self.call(method, **params)
        assert body["ok"], body
        return body["result"]

    async def refusal(self, method: str, **params: Any) -> str:
        body = await self.call(method, **params)
        assert not body["ok"], body
        return f"{body['error_code']} {body['description']}"

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.http.get(f"{self.url}/sandbox/{path}") as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def post(self, path: str, body: object = None, status: int = 200) -> Any:
        async with self.http.post(
            f"{self.url}/sandbox/{path}", json={} if body is None else body
        ) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def delete(self, path: str) -> Any:
        async with self.http.delete(f"{self.url}/sandbox/{path}") as response:
            assert response.status == 200
            return await response.json()

    async def write(self, text: str, user: int = ALICE) -> dict[str, Any]:
        sent: dict[str, Any] = await self.post(f"users/{user}/messages", {"text": text})
        return sent

    async def chat(self, user: int = ALICE) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = (await self.get(f"users/{user}/messages"))["messages"]
        return messages

    async def upload(self, path: str, **parts: Any) -> tuple[int, dict[str, Any]]:
        """Send multipart; a part is a string or (file name, bytes)."""
        form = aiohttp.FormData(quote_fields=False)
        for name, value in parts.items():
            if isinstance(value, tuple):
                form.add_field(name, io.BytesIO(value[1]), filename=value[0])
            else:
                form.add_field(name, str(value))
        async with self.http.post(f"{self.url}/{path}", data=form) as response:
            return response.status, await response.json()


@contextlib.asynccontextmanager
async def running_sandbox(**options: Unpack[BuildOptions]) -> AsyncIterator[Sandbox]:
    options.setdefault("token", TOKEN)
    options.setdefault("first_update_id", 100_000_001)
    async with serve("127.0.0.1", 0, **options) as url, aiohttp.ClientSession() as http:
        yield Sandbox(url, http)
