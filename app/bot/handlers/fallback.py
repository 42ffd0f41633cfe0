"""What nothing else took: unknown commands, chatter, and failures."""

from __future__ import annotations

import logging

from aiogram import Router
from aiogram.exceptions import AiogramError
from aiogram.types import ErrorEvent, Message

from app.bot import show
from app.bot.filters import InPrivate
from app.bot.locales import language_of, say
from app.bot.screens import job as screens
from app.bot.screens import menu
from app.telemetry.context import correlation_id, support_code

_log = logging.getLogger(__name__)


async def not_understood(message: Message, language: str) -> None:
    """Say what to send instead."""
    key = "unknown_command" if (message.text or "").startswith("/") else "send_link"
    await show.answer(message, menu.notice(language, key))


async def failed(event: ErrorEvent) -> bool:
    """Tell the user, with the support code; what failed is in the trace already."""
    _log.error(
        "an update failed", exc_info=event.exception, extra={"fields": {"update_id": event.update.update_id}}
    )
    message = event.update.message
    query = event.update.callback_query
    user = message.from_user if message else query.from_user if query else None
    language = language_of(user.language_code if user else None)
    code = support_code(correlation_id())
    try:
        if message is not None:
            await show.answer(message, screens.failure(language, "internal_error", code))
        elif query is not None:
            await show.acknowledge(query, f"{say(language, 'internal_error')} {code}")
    except AiogramError as error:
        _log.warning("the user was not told: %s", type(error).__qualname__)
    return True


def router() -> Router:
    """The router of this area; it must be the last."""
    area = Router(name="fallback")
    area.message.register(not_understood, InPrivate())
    area.errors.register(failed)
    return area
