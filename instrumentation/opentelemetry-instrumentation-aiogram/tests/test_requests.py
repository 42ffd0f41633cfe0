"""One CLIENT span per attempt at a Bot API call."""

import asyncio
from typing import Any

import pytest
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    RestartingTelegram,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import EditMessageText, GetUpdates, SendMessage
from aiogram.types import InputMediaPhoto, MessageId
from opentelemetry.trace import SpanKind, StatusCode

from .kit import SECRET_TEXT, USER_ID, Spans, bot_with, failed_without_text, sent_message

pytestmark = pytest.mark.usefixtures("instrumented")

START = {"rpc.system.name": "telegram_bot_api", "server.address": "api.telegram.org"}
METHOD = SendMessage(chat_id=USER_ID, text=SECRET_TEXT)
ALBUM = [InputMediaPhoto(media="file-id")] * 2


async def test_sent_message(spans: Spans) -> None:
    await bot_with(sent_message(77)).send_message(USER_ID, SECRET_TEXT)

    span = spans.one("sendMessage")
    assert span.attributes == {
        **START,
        "rpc.method": "sendMessage",
        "rpc.response.status_code": "200",
        "telegram.chat.type": "private",
        "telegram.message.id": 77,
    }
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET


async def test_call_without_a_message(spans: Spans) -> None:
    await bot_with(True).answer_callback_query("99")

    assert spans.one("answerCallbackQuery").attributes == {
        **START,
        "rpc.method": "answerCallbackQuery",
        "rpc.response.status_code": "200",
    }


async def test_media_group_counts_its_messages(spans: Spans) -> None:
    bot = bot_with([sent_message(10), sent_message(11)])

    await bot.send_media_group(USER_ID, ALBUM)  # type: ignore[arg-type]

    assert spans.one("sendMediaGroup").attributes == {
        **START,
        "rpc.method": "sendMediaGroup",
        "rpc.response.status_code": "200",
        "telegram.chat.type": "private",
        "telegram.message.id": 10,
        "telegram.messages.count": 2,
    }


async def test_copied_message(spans: Spans) -> None:
    await bot_with(MessageId(message_id=12)).copy_message(USER_ID, USER_ID, 3)

    assert (spans.one("copyMessage").attributes or {})["telegram.message.id"] == 12


async def test_an_edit_knows_its_message_even_when_it_fails(spans: Spans) -> None:
    error = TelegramBadRequest(method=METHOD, message="Bad Request: message is not modified")

    with pytest.raises(TelegramBadRequest):
        await bot_with(error).edit_message_text(SECRET_TEXT, chat_id=USER_ID, message_id=42)

    span = spans.one("editMessageText")
    assert span.attributes == {
        **START,
        "rpc.method": "editMessageText",
        "rpc.response.status_code": "400",
        "error.type": "aiogram.exceptions.TelegramBadRequest",
        "telegram.message.id": 42,
    }
    assert failed_without_text(span)


async def test_an_edit_of_an_inline_message_has_no_message_id(spans: Spans) -> None:
    await bot_with(True)(EditMessageText(text=SECRET_TEXT, inline_message_id="inline"))

    assert "telegram.message.id" not in (spans.one("editMessageText").attributes or {})


async def test_a_deleted_message_was_neither_sent_nor_edited(spans: Spans) -> None:
    await bot_with(True).delete_message(USER_ID, 42)

    assert "telegram.message.id" not in (spans.one("deleteMessage").attributes or {})


@pytest.mark.parametrize(
    ("error", "status_code"),
    [
        (TelegramBadRequest(METHOD, SECRET_TEXT), "400"),
        (TelegramMigrateToChat(METHOD, SECRET_TEXT, -100123), "400"),
        (TelegramUnauthorizedError(METHOD, SECRET_TEXT), "401"),
        (TelegramForbiddenError(METHOD, SECRET_TEXT), "403"),
        (TelegramNotFound(METHOD, SECRET_TEXT), "404"),
        (TelegramConflictError(METHOD, SECRET_TEXT), "409"),
        (TelegramEntityTooLarge(METHOD, SECRET_TEXT), "413"),
        (TelegramServerError(METHOD, SECRET_TEXT), "500"),
        (RestartingTelegram(METHOD, SECRET_TEXT), "500"),
        (TelegramNetworkError(METHOD, SECRET_TEXT), None),
        (TelegramAPIError(METHOD, SECRET_TEXT), None),
        (ClientDecodeError(SECRET_TEXT, ValueError(SECRET_TEXT), SECRET_TEXT), None),
        (asyncio.CancelledError(SECRET_TEXT), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
async def test_errors(error: BaseException, status_code: str | None, spans: Spans) -> None:
    with pytest.raises(type(error)) as raised:
        await bot_with(error)(METHOD)

    assert raised.value is error
    span = spans.one("sendMessage")
    expected = {
        **START,
        "rpc.method": "sendMessage",
        "error.type": f"{type(error).__module__}.{type(error).__qualname__}",
    }
    if status_code is not None:
        expected["rpc.response.status_code"] = status_code
    assert span.attributes == expected
    assert failed_without_text(span)
    assert SECRET_TEXT not in spans.as_text()


class RetryOnce(BaseRequestMiddleware):
    """Tries again when Telegram asks for it."""

    async def __call__(self, make_request: Any, bot: Bot, method: Any) -> Any:
        """Make the request, twice if need be."""
        try:
            return await make_request(bot, method)
        except TelegramRetryAfter:
            return await make_request(bot, method)


async def test_each_attempt_of_a_retry_has_its_span(spans: Spans) -> None:
    bot = bot_with(TelegramRetryAfter(METHOD, SECRET_TEXT, retry_after=7), sent_message(5))
    bot.session.middleware(RetryOnce())

    await bot.send_message(USER_ID, SECRET_TEXT)

    refused, sent = spans.all
    assert (refused.name, sent.name) == ("sendMessage", "sendMessage")
    assert refused.attributes == {
        **START,
        "rpc.method": "sendMessage",
        "rpc.response.status_code": "429",
        "error.type": "aiogram.exceptions.TelegramRetryAfter",
        "telegram.retry_after": 7,
    }
    assert failed_without_text(refused)
    assert sent.attributes == {
        **START,
        "rpc.method": "sendMessage",
        "rpc.response.status_code": "200",
        "http.request.resend_count": 1,
        "telegram.chat.type": "private",
        "telegram.message.id": 5,
    }
    assert sent.status.status_code is StatusCode.UNSET


async def test_long_polling_makes_no_span(spans: Spans) -> None:
    assert await bot_with([])(GetUpdates(timeout=1)) == []

    assert spans.names == []


@pytest.mark.parametrize(
    ("base", "server"),
    [
        ("https://api.telegram.org", {"server.address": "api.telegram.org"}),
        ("http://127.0.0.1:8081", {"server.address": "127.0.0.1", "server.port": 8081}),
        ("http://bot-api.example:80", {"server.address": "bot-api.example"}),
        ("https://user:password@bot-api.example/x", {"server.address": "bot-api.example"}),
        ("nonsense", {}),
    ],
)
async def test_server(base: str, server: dict[str, Any], spans: Spans) -> None:
    await bot_with(True, api=TelegramAPIServer.from_base(base)).log_out()

    assert spans.one("logOut").attributes == {
        "rpc.system.name": "telegram_bot_api",
        "rpc.method": "logOut",
        "rpc.response.status_code": "200",
        **server,
    }


async def test_the_session_gets_what_it_would_have_got(spans: Spans) -> None:
    bot = bot_with("answer")

    assert await bot.session.middleware.wrap_middlewares(callback=bot.session.make_request, timeout=3)(
        bot, METHOD
    )

    assert bot.session.requests == [METHOD]  # type: ignore[attr-defined]
    assert spans.names == ["sendMessage"]
