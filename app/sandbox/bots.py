"""One bot: its messages, its updates and what it says of itself.

`message_id` is one sequence over all chats of the bot, as it is for private chats at Telegram.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.sandbox.state import BotProfile, Json, Message, Press, Webhook
from app.sandbox.updates import UpdateQueue


@dataclass(slots=True)
class Bot:
    """A bot that lives in the sandbox. The token never leaves this object."""

    id: int
    token: str = field(repr=False)
    updates: UpdateQueue
    webhook: Webhook | None = None
    webhook_error: tuple[int, str] | None = None
    messages: dict[int, Message] = field(default_factory=dict)
    presses: dict[str, Press] = field(default_factory=dict)
    profile: BotProfile = field(default_factory=BotProfile)
    last_message_id: int = 0

    @property
    def username(self) -> str:
        """Give the name after the @."""
        return f"sandbox_{self.id}_bot"

    @property
    def first_name(self) -> str:
        """Give the name that `setMyName` set, or the first one."""
        return self.profile.names.get("", "Sandbox Bot")

    def user_json(self) -> Json:
        """Give the bot as a Bot API User."""
        return {"id": self.id, "is_bot": True, "first_name": self.first_name, "username": self.username}

    def next_message_id(self) -> int:
        """Take the next number."""
        self.last_message_id += 1
        return self.last_message_id
