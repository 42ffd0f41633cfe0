"""Telegram's end: a sandbox with many users, whose messages say which in their chat they are and when they were sent."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from app.sandbox.server import serve
from app.sandbox.state import SandboxUser
from app.web.routes.webhook import PATH
from tests.chaos.instance import SECRET, TOKEN

_FIRST_CHAT = 5_000


@dataclass
class Post:
    """Writes as many people, and knows how much each has written."""

    url: str
    http: aiohttp.ClientSession
    sent: dict[int, int]
    last: float = field(default=0.0)

    async def write(self, chat: int) -> None:
        """Send the next message of a chat."""
        self.sent[chat] += 1
        text = f"{self.sent[chat]} {time.time()}"
        async with self.http.post(f"/sandbox/users/{chat}/messages", json={"text": text}) as response:
            assert response.status == 200, await response.text()

    async def pending(self) -> int:
        """Updates that the sandbox has not delivered yet."""
        async with self.http.get("/sandbox/state") as response:
            state = await response.json()
        return sum(bot["pending_updates"] for bot in state["bots"])

    async def hasten(self, seconds: float) -> None:
        """Let the virtual time jump, and with it the waits between redeliveries."""
        async with self.http.post("/sandbox/clock", json={"advance_s": float(seconds)}) as response:
            assert response.status == 200, await response.text()

    async def set_webhook(self, address: str) -> None:
        """Deliver there from now on."""
        call = {"url": f"{address}{PATH}", "secret_token": SECRET, "max_connections": 100}
        async with self.http.post(f"/bot{TOKEN}/setWebhook", json=call) as response:
            assert response.status == 200, await response.text()


@contextlib.asynccontextmanager
async def post(chats: int) -> AsyncIterator[Post]:
    """A sandbox in this process with so many users."""
    users = [SandboxUser(id=_FIRST_CHAT + n, first_name=f"User {n}") for n in range(chats)]
    async with serve("127.0.0.1", 0, token=TOKEN, users=users) as url:
        async with aiohttp.ClientSession(url) as http:
            yield Post(url, http, {user.id: 0 for user in users})
