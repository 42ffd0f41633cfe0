"""One Bot API call on its way through the table of methods, and what every method reads from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.sandbox.bots import Bot
from app.sandbox.entities import explicit_entities, in_order, shown_entities, trim, utf16_len
from app.sandbox.entities_html import parse_html
from app.sandbox.entities_markdown import parse_markdown, parse_markdown_v2
from app.sandbox.errors import bad_request
from app.sandbox.params import Params
from app.sandbox.render import user_json
from app.sandbox.state import Json, Message, SandboxUser
from app.sandbox.world import World

TEXT_LIMIT: Final = 4096
CAPTION_LIMIT: Final = 1024
_SOURCE_LIMIT_BYTES: Final = 1 << 15
_PARSERS: Final = {"html": parse_html, "markdown": parse_markdown, "markdownv2": parse_markdown_v2}


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with the sentence that a few methods add to it."""

    result: object
    description: str


@dataclass(frozen=True, slots=True)
class Call:
    """What a method gets: the world, the bot that calls, the parameters."""

    world: World
    bot: Bot
    params: Params

    def chat(self, name: str = "chat_id") -> SandboxUser:
        """Give the user whose private chat the call names.

        Raises:
            ApiError: 400 when there is no such chat.
        """
        raw = self.params.text(name).strip()
        if not raw:
            raise bad_request(f"{name} is empty")
        user = self.world.users.get(int(raw)) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None
        if user is None:
            raise bad_request("chat not found")
        return user

    def message(self, chat: SandboxUser, called: str) -> Message:
        """Give the message that `message_id` names.

        Raises:
            ApiError: 400 `<called> not found`.
        """
        message = self.bot.messages.get(self.params.integer("message_id"))
        if message is None or message.chat_id != chat.id:
            raise bad_request(f"{called} not found")
        return message

    def text(self) -> tuple[str, list[Json]]:
        """Read `text` with its formatting.

        Raises:
            ApiError: 400, empty, too long or wrongly marked up.
        """
        if not self.params.text("text"):
            raise bad_request("message text is empty")
        text, entities = self.formatted("text", "entities")
        if not text:
            raise bad_request("text must be non-empty")
        return text, entities

    def formatted(self, field: str, entities_field: str) -> tuple[str, list[Json]]:
        """Read a text or caption with its formatting; what is missing is empty."""
        given = self.params.json(entities_field, "can't parse entities JSON object")
        return self.format(self.params.text(field), self.params.text("parse_mode"), given, field == "text")

    def format(self, source: str, mode: str, given: object, is_text: bool) -> tuple[str, list[Json]]:
        """Turn a marked up text into plain text and entities; a caption when not `is_text`."""
        if len(source.encode()) > _SOURCE_LIMIT_BYTES:
            raise bad_request("text is too long")
        mode = mode.lower()
        if source and mode not in ("", "none"):
            if mode not in _PARSERS:
                raise bad_request("unsupported parse_mode")
            text, marked = _PARSERS[mode](source)
        else:
            text, marked = source, explicit_entities(given, source)
        text, marked = trim(text, marked)
        if utf16_len(text) > (TEXT_LIMIT if is_text else CAPTION_LIMIT):
            raise bad_request("message is too long" if is_text else "message caption is too long")
        marked = [entity for entity in map(self._resolve, marked) if entity is not None]
        return text, in_order(marked + shown_entities(text, marked))

    def _resolve(self, entity: Json) -> Json | None:
        if entity["type"] != "text_mention":
            return entity
        mentioned = entity.get("user")
        user_id = mentioned.get("id") if isinstance(mentioned, dict) else None
        user = self.world.users.get(user_id) if isinstance(user_id, int) else None
        return {**entity, "user": user_json(user)} if user is not None else None


Handler = Callable[[Call], object | Awaitable[object]]
