"""A link becomes a job: checked, shown as queued, and queued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiogram import Router
from aiogram.exceptions import AiogramError
from aiogram.types import Message
from opentelemetry import trace

from app.bot import show
from app.bot.filters import HasLink
from app.bot.screens import job as screens
from app.db.session import CommitUnheard
from app.errors import JobError
from app.jobs.engines.links import check_link
from app.jobs.ports import AudioRequest
from app.jobs.submit import submit
from app.telemetry.context import correlation_id, support_code
from app.updates.turn import Turn

#: Longer than this the chat does not wait for a message to be taken back.
_TAKING_BACK_S = 5.0


async def link_received(
    message: Message, link: str, language: str, turn: Turn, wake_worker: Callable[[], None]
) -> None:
    """Queue the link. The message is sent first: the job edits it, and a crash in between repeats the update."""
    try:
        url = check_link(link)
    except JobError as error:
        turn.reason = error.reason
        trace.get_current_span().set_attribute("reason_code", error.reason)
        code = support_code(correlation_id())
        await show.answer(message, screens.failure(language, error.text_key, code))
        return
    shown = await show.answer(message, screens.queued(language))
    try:
        await submit(
            turn.transaction,
            AudioRequest(url),
            chat_id=message.chat.id,
            reply_to_message_id=message.message_id,
            progress_message_id=shown.message_id,
            language=language,
        )
    except CommitUnheard:
        raise  # the job may be in the queue, and edits the message then
    except Exception:
        await _take_back(shown, turn)
        raise
    except asyncio.CancelledError:
        # The deadline stops no commit. Of any other stop nobody knows what was committed, and it must not last.
        if turn.is_late:
            await _take_back(shown, turn)
        raise
    wake_worker()


async def _take_back(shown: Message, turn: Turn) -> None:
    """Nothing is in the queue, and the failure is told by the error handler: it must not become one of Telegram's."""
    with turn.without_deadline(), suppress(AiogramError, TimeoutError):
        async with asyncio.timeout(_TAKING_BACK_S):
            await shown.delete()


def router() -> Router:
    """The router of this area."""
    area = Router(name="link")
    area.message.register(link_received, HasLink())
    return area
