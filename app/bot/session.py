"""The HTTP client of the Bot API. It never lets an address out in an exception: the token is part of the path.

aiogram's own session does so for a file that is not there (`aiohttp.ClientResponseError` names its URL).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.exceptions import TelegramNetworkError
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteMessage,
    EditMessageText,
    Response,
    SendAudio,
    SendMessage,
    TelegramMethod,
)
from aiogram.methods.base import TelegramType

from app.errors import AppError

#: Seconds for one call without an upload; a method that needs longer says so.
REQUEST_TIMEOUT_S = 30.0
#: Of them, seconds for its connection: a call that got none was not made, and can be made again.
_CONNECT_S = 10.0

#: aiogram reads an answer as `Response[what the method returns]`, and pydantic knows that class only weakly: a garbage
#: collection takes it away, and the next answer pays some milliseconds to build it anew. Held here, it stays.
HELD = tuple(
    Response[method.__returning__]  # type: ignore[name-defined]  # a value of the class, not a type
    for method in (AnswerCallbackQuery, DeleteMessage, EditMessageText, SendAudio, SendMessage)
)


class FileUnavailable(AppError):
    """Telegram did not give the file."""


class SafeSession(AiohttpSession):
    """aiogram's session on aiohttp, with the addresses taken out of what it raises."""

    async def make_request(
        self, bot: Bot, method: TelegramMethod[TelegramType], timeout: int | None = None
    ) -> TelegramType:
        """Make a call. Raises `TelegramNetworkError`, from a `ConnectionTimeoutError` when nothing was sent."""
        limits: Any = aiohttp.ClientTimeout(
            total=self.timeout if timeout is None else timeout, connect=_CONNECT_S
        )
        try:
            return await super().make_request(bot, method, limits)  # which hands it on to aiohttp
        except TelegramNetworkError as error:
            if isinstance(error.__cause__, aiohttp.ConnectionTimeoutError):
                error.__cause__.args = ()
            raise

    async def stream_content(
        self,
        url: str,
        headers: dict[str, Any] | None = None,
        timeout: int = 30,
        chunk_size: int = 65536,
        raise_for_status: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Read a file piece by piece. Raises `FileUnavailable` with the kind of the failure."""
        try:
            async for chunk in super().stream_content(url, headers, timeout, chunk_size, raise_for_status):
                yield chunk
        except aiohttp.ClientResponseError as error:
            raise FileUnavailable(f"Telegram answered {error.status} for a file.") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise FileUnavailable(f"A file could not be read: {type(error).__qualname__}.") from None
