"""What a PASSIVE instance says when it is told to turn updates away instead of storing them for the ACTIVE one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiogram import Bot
from aiogram.exceptions import AiogramError
from aiogram.types import Update
from opentelemetry import trace
from pydantic import ValidationError

from app.bot import show
from app.bot.locales import language_of, say
from app.errors import Reason
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.identity import hashed
from app.updates.envelope import Envelope

_log = logging.getLogger(__name__)

Reject = Callable[[Envelope], Awaitable[None]]


def rejector(bot: Bot) -> Reject:
    """Answers an update with "try again in ten seconds", and tells why."""

    async def reject(envelope: Envelope) -> None:
        trace.get_current_span().set_attribute("reason_code", Reason.PASSIVE_REJECT)
        try:
            update = Update.model_validate_json(envelope.body, context={"bot": bot})
            await _answer(update)
        except (ValidationError, AiogramError) as error:
            _log.warning("a rejected update was not answered: %s", type(error).__qualname__)

    return reject


async def _answer(update: Update) -> None:
    query, message = update.callback_query, update.message
    user = query.from_user if query else message.from_user if message else None
    text = say(language_of(user.language_code if user else None), "passive")
    if query is not None:
        emit(
            Event.CALLBACK_RECEIVED,
            update_id=update.update_id,
            callback_id=query.id,
            user_hash=hashed(query.from_user.id),
        )
        emit(
            Event.CALLBACK_REJECTED,
            reason_code=Reason.PASSIVE_REJECT.value,
            reason_text="this instance is PASSIVE, and told to reject",
        )
        await show.acknowledge(query, text)
    elif message is not None and message.chat.type == "private":
        await message.answer(text)
