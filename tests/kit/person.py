"""A person in the sandbox, for tests: says things, presses buttons, waits for what the bot answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp

Message = dict[str, Any]


class Person:
    """One user's private chat with the bot, through the sandbox's control API."""

    def __init__(self, session: aiohttp.ClientSession, uid: int) -> None:
        self._session = session
        self.uid = uid

    async def say(self, text: str) -> Message:
        """Send a text; gives its update_id and message_id."""
        return await self._post(f"/sandbox/users/{self.uid}/messages", {"text": text})

    async def press(self, message_id: int, data: str, *, force: bool = False) -> Message:
        """Press a button; with `force` one that is not there."""
        body = {"message_id": message_id, "callback_data": data, "force": force}
        return await self._post(f"/sandbox/users/{self.uid}/presses", body)

    async def chat(self) -> list[Message]:
        """Every message of the chat."""
        async with self._session.get(f"/sandbox/users/{self.uid}/messages") as response:
            messages: list[Message] = (await response.json())["messages"]
            return messages

    async def texts(self) -> list[tuple[str, str]]:
        """The chat as (author, text)."""
        return [(message["author"], message["text"] or "") for message in await self.chat()]

    async def until(self, wanted: Callable[[Message], object], patience_s: float = 20) -> Message:
        """The first message of the bot that is as wanted; fails with the chat when none comes."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            for message in await self.chat():
                if message["author"] == "bot" and wanted(message):
                    return message
            await asyncio.sleep(0.03)
        raise AssertionError(f"no such message came; the chat is {await self.texts()}")

    async def answer_to(self, text: str) -> str:
        """Say something and give the text of the bot's next message."""
        sent = await self.say(text)
        message = await self.until(lambda m: m["message_id"] > sent["message_id"])
        return str(message["text"])

    async def _post(self, path: str, body: dict[str, Any]) -> Message:
        async with self._session.post(path, json=body) as response:
            answer: Message = await response.json()
            assert response.status == 200, answer
            return answer
