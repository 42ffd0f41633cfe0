"""Where updates come in, by webhook or polling: the trace begins here, with a short span at the door.

An update is processed before it is acknowledged; a crash in between brings it back.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Literal

from aiogram import Bot, Dispatcher
from aiogram.types import Update
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from app.bot.middlewares.measure import update_type
from app.errors import NotAnUpdate
from app.telemetry import tracer
from app.telemetry.catalogue import UPDATE_ERRORS, UPDATES
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count

_log = logging.getLogger(__name__)

Door = Literal["webhook", "polling"]


class Intake:
    """Feeds updates to the dispatcher, each in a trace of its own."""

    def __init__(self, dispatcher: Dispatcher, bot: Bot) -> None:
        self._dispatcher = dispatcher
        self._bot = bot

    async def accept(self, raw: bytes) -> None:
        """Process one update as Telegram posts it. Raises `NotAnUpdate` for anything else."""
        try:
            update = Update.model_validate_json(raw, context={"bot": self._bot})
        except ValidationError as error:
            if not _has_update_id(raw):
                raise NotAnUpdate from None
            _pass_over(error)
            return
        await self._feed(update, "webhook")

    async def take(self, raw: dict[str, Any]) -> None:
        """Process one update as `getUpdates` gives it."""
        try:
            update = Update.model_validate(raw, context={"bot": self._bot})
        except ValidationError as error:
            _pass_over(error)
            return
        await self._feed(update, "polling")

    async def _feed(self, update: Update, door: Door) -> None:
        """Process one update. A failure is logged and counted, never raised: trying again would fail again."""
        kind = update_type(update)
        span = tracer.start_span(
            f"receive {kind}",
            context=Context(),  # a traceparent from outside is never the parent
            kind=SpanKind.SERVER if door == "webhook" else SpanKind.CLIENT,
            attributes={
                "messaging.system": "telegram",
                "messaging.operation.name": "receive",
                "messaging.operation.type": "receive",
                "messaging.destination.name": kind,
                "messaging.message.id": str(update.update_id),
                "telegram.door": door,
            },
        )
        token = attach(trace.set_span_in_context(span, Context()))
        try:
            emit(
                Event.UPDATE_RECEIVED,
                update_id=update.update_id,
                update_type=kind,
                door=door,
                bot_state="ACTIVE",
            )
            span.end()
            await self._dispatcher.feed_update(self._bot, update)
        except Exception:
            _log.exception("an update failed, and so did the answer to its failure")
        finally:
            detach(token)


def _has_update_id(raw: bytes) -> bool:
    """Tell an update that this version cannot read from a body that is none."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and isinstance(body.get("update_id"), int)


def _pass_over(error: ValidationError) -> None:
    """Count an update that cannot be read. Refused, it would come back for ever and hold up the others."""
    count(UPDATES, update_type="other")
    count(UPDATE_ERRORS, update_type="other", error_type=type(error).__qualname__)
    _log.error("an update has a form that this version cannot read, and is passed over")
