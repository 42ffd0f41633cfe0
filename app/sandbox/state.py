"""What the sandbox remembers: users, bots, messages, files and presses, as plain data.

Nothing here does anything; `world` changes it and `render` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]
FileKind = Literal["audio", "voice", "video", "photo", "document", "animation"]
Author = Literal["bot", "user"]


@dataclass(frozen=True, slots=True)
class SandboxUser:
    """A person who can chat with the bots. `is_admin` is only a hint for the page."""

    id: int
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str = "en"
    is_admin: bool = False


DEFAULT_USERS = (
    SandboxUser(1001, "Alice", username="alice"),
    SandboxUser(1002, "Борис", username="boris", language_code="ru"),
    SandboxUser(1000, "Ada", last_name="Admin", username="ada_admin", is_admin=True),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A link that the chat page offers to try."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a sender tells of a file. Duration in seconds, sides in pixels."""

    duration: int | None = None
    title: str | None = None
    performer: str | None = None
    width: int = 0
    height: int = 0


@dataclass(slots=True)
class StoredFile:
    """A file that the sandbox keeps for one bot. `granted_until` is how long its download link lives."""

    bot_id: int
    file_id: str
    unique_id: str
    kind: FileKind
    name: str | None
    mime_type: str
    size: int
    info: MediaInfo
    disk_path: Path
    file_path: str
    granted_until: float = 0.0


@dataclass(slots=True)
class Message:
    """One message of a private chat; the caption of an attachment is its `text`."""

    message_id: int
    chat_id: int
    date: int
    author: Author
    text: str | None = None
    entities: list[Json] = field(default_factory=list)
    attachment: StoredFile | None = None
    spoiler: bool = False
    reply_to: int | None = None
    keyboard: Json | None = None
    album_id: str | None = None
    forward_origin: Json | None = None
    edit_date: int | None = None
    seq: int = 0


@dataclass(slots=True)
class Press:
    """A button that a user pressed and that waits for `answerCallbackQuery`."""

    chat_id: int
    pressed_at: float


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a bot wants its updates."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    ip_address: str = ""
    has_certificate: bool = False


@dataclass(slots=True)
class BotProfile:
    """What a bot says of itself, by language code ("" is the default)."""

    names: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    short_descriptions: dict[str, str] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    menu_buttons: dict[int, Json] = field(default_factory=dict)
