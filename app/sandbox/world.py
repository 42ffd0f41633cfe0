"""The world of the sandbox: who is there and what happens between users and bots.

Everything that changes a chat goes through here, so that the page hears of it and message numbers stay in order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.sandbox.bots import Bot
from app.sandbox.clock import Clock
from app.sandbox.errors import ApiError, ControlError
from app.sandbox.events import EventHub
from app.sandbox.faults import FaultPlan
from app.sandbox.files import FileStore
from app.sandbox.flood import FloodGate, FloodLimits
from app.sandbox.render import message_json, message_view, user_json, user_view
from app.sandbox.state import Json, Message, Press, Sample, SandboxUser
from app.sandbox.traces import TraceStore
from app.sandbox.updates import UpdateQueue

CALLS_LIMIT = 1000
BOTS_LIMIT = 100
MESSAGES_LIMIT = 5000
PRESS_LIFE_S = 30.0
#: Another run of the sandbox goes on beyond the last one's numbers, or a bot that remembers would see only duplicates.
_FIRST_UPDATE_ID = 100_000_001
_FROM_S, _UPDATES_PER_S = 1_767_225_600, 20
_UPDATE_IDS_PER_BOT = 1_000_000
_TOKEN = re.compile(r"([1-9]\d{0,17}):[A-Za-z0-9_-]{3,}")


def first_update_id_at(now: float) -> int:
    """The first number of a sandbox that starts now, in seconds since the epoch."""
    return _FIRST_UPDATE_ID + int((now - _FROM_S) * _UPDATES_PER_S)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One Bot API call as tests read it."""

    seq: int
    method: str
    params: Json
    headers: dict[str, str]
    status: int
    bot_id: int
    at: float


class World:
    """All state of one sandbox."""

    def __init__(
        self,
        users: Sequence[SandboxUser],
        samples: Sequence[Sample],
        flood: FloodLimits,
        first_update_id: int | None = None,
    ) -> None:
        self._first_update_id = first_update_id or first_update_id_at(time.time())
        self.clock = Clock()
        self.users = {user.id: user for user in users}
        self.samples = tuple(samples)
        self.bots: dict[int, Bot] = {}
        self.files = FileStore()
        self.hub = EventHub()
        self.traces = TraceStore()
        self.faults = FaultPlan()
        self.flood = FloodGate(flood, self.clock)
        self.calls: deque[LoggedCall] = deque(maxlen=CALLS_LIMIT)
        self.polls: deque[LoggedCall] = deque(maxlen=CALLS_LIMIT)
        self.closing = asyncio.Event()
        self.webhook_changed: Callable[[Bot], None] = lambda bot: None
        self.call_numbers = itertools.count(1)
        self.last_seq = 0

    # ------------------------------------------------------------------ who is there
    def bot_of_token(self, token: str) -> Bot:
        """Give the bot of a token; an unknown one is born with its first call.

        Raises:
            ApiError: 401 when the token is malformed, or another token has this bot's number.
        """
        match = _TOKEN.fullmatch(token)
        if match is None or len(token) > 80:
            raise ApiError(401, "Unauthorized: invalid token specified")
        bot_id = int(match[1])
        bot = self.bots.get(bot_id)
        if bot is None and len(self.bots) < BOTS_LIMIT:
            first_update = self._first_update_id + _UPDATE_IDS_PER_BOT * len(self.bots)
            bot = self.bots[bot_id] = Bot(bot_id, token, UpdateQueue(self.clock, first_update))
        if bot is None or not secrets.compare_digest(bot.token, token):
            raise ApiError(401, "Unauthorized")
        return bot

    def bot(self, bot_id: int | None) -> Bot:
        """Give a bot by number, the youngest when `bot_id` is None.

        Raises:
            ControlError: 404 when there is none.
        """
        found = next(reversed(self.bots.values()), None) if bot_id is None else self.bots.get(bot_id)
        if found is None:
            raise ControlError(404, "There is no such bot yet: call any Bot API method with its token first.")
        return found

    def user(self, user_id: int) -> SandboxUser:
        """Give a user.

        Raises:
            ControlError: 404 when there is none.
        """
        user = self.users.get(user_id)
        if user is None:
            raise ControlError(404, "There is no such user: GET /sandbox/users lists them, POST adds one.")
        return user

    def add_user(self, user: SandboxUser) -> None:
        """Let a new user in."""
        self.users[user.id] = user
        self.hub.publish("user", user_view(user))

    # ------------------------------------------------------------------ messages
    def add_message(self, bot: Bot, message: Message) -> Message:
        """Put a new message into its chat; beyond 5000 of one bot the oldest is forgotten."""
        while len(bot.messages) >= MESSAGES_LIMIT:
            self.delete_message(bot, next(iter(bot.messages.values())))
        bot.messages[message.message_id] = message
        self.show(bot, message)
        return message

    def show(self, bot: Bot, message: Message) -> None:
        """Tell the page that a message is new or changed."""
        self.last_seq += 1
        message.seq = self.last_seq
        told = {"bot_id": bot.id, "chat_id": message.chat_id, "message": self.view(bot, message)}
        self.hub.publish("message", told)

    def delete_message(self, bot: Bot, message: Message) -> None:
        """Take a message out of its chat."""
        del bot.messages[message.message_id]
        told = {"bot_id": bot.id, "chat_id": message.chat_id, "message_id": message.message_id}
        self.hub.publish("deleted", told)

    def view(self, bot: Bot, message: Message) -> Json:
        """Show a message as the control API does."""
        return message_view(message, self.traces.ids_of((bot.id, message.message_id)))

    def json(self, bot: Bot, message: Message) -> Json:
        """Show a message as the Bot API does, cut loose from what may change later."""
        replied = bot.messages.get(message.reply_to) if message.reply_to else None
        shown = message_json(message, self.users[message.chat_id], bot.user_json(), replied)
        copied: Json = json.loads(json.dumps(shown))
        return copied

    # ------------------------------------------------------------------ what users do
    def receive(self, bot: Bot, message: Message) -> int | None:
        """Deliver a user's message to the bot; gives the update's number, None when the bot wants no messages."""
        self.add_message(bot, message)
        update_id = bot.updates.put("message", self.json(bot, message))
        if update_id is not None:
            self.traces.note_update(update_id, (bot.id, message.message_id))
        return update_id

    def press(self, bot: Bot, user: SandboxUser, message_id: int, data: str) -> tuple[int | None, str]:
        """Press a button; gives the numbers of the update and of the callback query."""
        query_id = str(secrets.randbelow(9 * 10**17) + 10**17)
        self._forget_old_presses(bot)
        bot.presses[query_id] = Press(user.id, self.clock.now())
        message = bot.messages.get(message_id)
        gone = {
            "chat": {"id": user.id, "first_name": user.first_name, "type": "private"},
            "message_id": message_id,
            "date": 0,
        }
        query: Json = {
            "id": query_id,
            "from": user_json(user),
            "message": self.json(bot, message) if message else gone,
            "chat_instance": str(user.id * 7919),
            "data": data,
        }
        update_id = bot.updates.put("callback_query", query)
        if update_id is not None:
            self.traces.note_update(update_id, (bot.id, message_id))
        return update_id, query_id

    def _forget_old_presses(self, bot: Bot) -> None:
        oldest = self.clock.now() - PRESS_LIFE_S
        for query_id in [key for key, press in bot.presses.items() if press.pressed_at < oldest]:
            del bot.presses[query_id]

    def take_press(self, bot: Bot, query_id: str) -> Press | None:
        """Use up a press that still waits for its answer."""
        self._forget_old_presses(bot)
        return bot.presses.pop(query_id, None)

    # ------------------------------------------------------------------ the rest
    def log_call(self, bot: Bot, method: str, params: Json, headers: dict[str, str], status: int) -> None:
        """Remember a Bot API call; the endless `getUpdates` apart from the others."""
        call = LoggedCall(next(self.call_numbers), method, params, headers, status, bot.id, self.clock.now())
        (self.polls if method == "getUpdates" else self.calls).append(call)

    def bot_of_message(self, message_id: int, bot_id: Any) -> Bot | None:
        """Guess whose message a span means: the bot that it names, or the youngest one that has such a message."""
        if isinstance(bot_id, int) and bot_id in self.bots:
            return self.bots[bot_id]
        youngest_first = reversed(self.bots.values())
        return next((bot for bot in youngest_first if message_id <= bot.last_message_id), None)

    def reset(self) -> None:
        """Forget chats, updates, faults, traces and calls; users, bots and all numbering stay."""
        for bot in self.bots.values():
            bot.messages.clear()
            bot.presses.clear()
            bot.updates.reset()
        self.faults.clear()
        self.traces.clear()
        self.calls.clear()
        self.polls.clear()
        self.flood.reset()
        self.hub.publish("reset", {})

    def close(self) -> None:
        """End everything that waits."""
        self.closing.set()
        for bot in self.bots.values():
            bot.updates.changed.ring()
        self.hub.close()
