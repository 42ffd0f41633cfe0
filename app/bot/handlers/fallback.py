"""What nothing else took: unknown commands, chatter, buttons of another time, and failures."""

from __future__ import annotations

import logging

from aiogram import Router
from aiogram.exceptions import AiogramError
from aiogram.types import CallbackQuery, ErrorEvent, Message

from app.bot import show
from app.bot.locales import language_of, say
from app.bot.screens import Screen
from app.bot.screens import job as screens
from app.telemetry.context import correlation_id, support_code

_log = logging.getLogger(__name__)


async def not_understood(message: Message, language: str) -> None:
    """Say what to send instead."""
    key = "unknown_command" if (message.text or "").startswith("/") else "send_link"
    await show.answer(message, Screen(say(language, key)))


async def outdated_button(query: CallbackQuery, language: str) -> None:
    """Answer a press that no button of today can make."""
    await query.answer(say(language, "button_outdated"), show_alert=True)


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
            await query.answer(f"{say(language, 'internal_error')} {code}", show_alert=True)
    except AiogramError as error:
        _log.warning("the user was not told: %s", type(error).__qualname__)
    return True


def router() -> Router:
    """The router of this area; it must be the last."""
    area = Router(name="fallback")
    area.message.register(not_understood)
    area.callback_query.register(outdated_button)
    area.errors.register(failed)
    return area
