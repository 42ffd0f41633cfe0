"""Delivery of updates to webhooks, with the order and the back-off of the original.

One update at a time within a queue, at most `max_connections` queues at once. The first retry comes at once, then
after 2, 4, 8 … seconds of virtual time up to a random 60 to 120; an update is given up when its life ends before
the next try. What is in flight when the webhook changes may arrive twice.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from app.sandbox.bots import Bot
from app.sandbox.clock import Clock
from app.sandbox.errors import ApiError
from app.sandbox.files import FileStore
from app.sandbox.params import Params, read_params
from app.sandbox.state import Webhook
from app.sandbox.updates import Update

REQUEST_TIMEOUT_S: Final = 60.0
RETRY_AFTER_LIMIT_S: Final = 3600
SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the name of the header
_DEAF_METHODS: Final = frozenset({"setwebhook", "deletewebhook", "close", "logout"})

# Carries out a method that a webhook answered with.
Reply = Callable[[Bot, str, Params], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str
    retry_after: int = 0


class Courier:
    """Brings the updates of all bots with a webhook to where they want them."""

    def __init__(self, clock: Clock, files: FileStore, reply: Reply) -> None:
        self._clock = clock
        self._files = files
        self._reply = reply
        self._session: aiohttp.ClientSession | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._rounds: dict[int, asyncio.Task[None]] = {}

    def open(self, tasks: asyncio.TaskGroup, session: aiohttp.ClientSession) -> None:
        """Start with a task group and a session that the caller closes after `close`."""
        self._tasks, self._session = tasks, session

    def close(self) -> None:
        """Stop every delivery."""
        for task in self._rounds.values():
            task.cancel()
        self._rounds.clear()

    def follow(self, bot: Bot) -> None:
        """Begin, change or end the deliveries of a bot, whose webhook has just changed."""
        running = self._rounds.pop(bot.id, None)
        if running is not None:
            running.cancel()
        if bot.webhook is not None and self._tasks is not None:
            self._rounds[bot.id] = self._tasks.create_task(self._deliver_all(bot, bot.webhook))

    async def _deliver_all(self, bot: Bot, webhook: Webhook) -> None:
        lanes = asyncio.Semaphore(webhook.max_connections)
        busy: set[int] = set()
        async with asyncio.TaskGroup() as queues:
            while True:
                for queue_id in {update.queue_id for update in bot.updates.waiting()} - busy:
                    busy.add(queue_id)
                    queues.create_task(self._drain(bot, webhook, queue_id, lanes, busy))
                await bot.updates.changed.wait()

    async def _drain(
        self, bot: Bot, webhook: Webhook, queue_id: int, lanes: asyncio.Semaphore, busy: set[int]
    ) -> None:
        while update := next((u for u in bot.updates.waiting() if u.queue_id == queue_id), None):
            await self._deliver(bot, webhook, update, lanes)
            bot.updates.remove(update)
        busy.discard(queue_id)

    async def _deliver(self, bot: Bot, webhook: Webhook, update: Update, lanes: asyncio.Semaphore) -> None:
        delay_s = 1.0
        failures = 0
        while True:
            async with lanes:
                failure = await self._post(bot, webhook, update)
            if failure is None:
                return
            bot.webhook_error = (int(self._clock.now()), failure.reason)
            pause_s = float(failure.retry_after)
            if not failure.retry_after and failures:
                delay_s = min(random.uniform(60, 120), delay_s * 2)  # noqa: S311 -- spreads load, hides nothing
                pause_s = delay_s
            failures += 1
            if self._clock.now() + pause_s > update.expires_at:
                return
            await self._clock.sleep(pause_s)

    async def _post(self, bot: Bot, webhook: Webhook, update: Update) -> _Failure | None:
        if self._session is None:
            return _Failure("Connection closed")
        headers = {"Content-Type": "application/json"}
        if webhook.secret_token:
            headers[SECRET_HEADER] = webhook.secret_token
        limit = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        try:
            body = json.dumps(update.body, ensure_ascii=False).encode()
            async with self._session.post(
                webhook.url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                if not 200 <= response.status < 300:
                    return _refused(response)
                await self._take_reply(bot, response)
        except TimeoutError:
            return _Failure("Read timeout expired")
        except aiohttp.ClientConnectorError:
            return _Failure("Connection refused")
        except (aiohttp.ClientError, OSError, ValueError):
            return _Failure("Connection closed")
        return None

    async def _take_reply(self, bot: Bot, response: aiohttp.ClientResponse) -> None:
        try:
            params = await read_params(response.headers, response.content, (), self._files)
        except ApiError:
            return
        method = params.values.pop("method", "")
        try:
            if method and not method.lower().startswith("get") and method.lower() not in _DEAF_METHODS:
                await self._reply(bot, method, params)
        finally:
            self._files.drop(params.files.values())


def _refused(response: aiohttp.ClientResponse) -> _Failure:
    asked = response.headers.get("Retry-After", "")
    retry_after = (
        min(int(asked), RETRY_AFTER_LIMIT_S) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    )
    return _Failure(f"Wrong response from the webhook: {response.status} {response.reason}", retry_after)
