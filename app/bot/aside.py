"""Tells people that an update was given up: a span and an event in its trace, a count, and a message to the admins.

Admins get a message a minute at most; the next one says how many more there were.
"""

from __future__ import annotations

import logging
import time

from aiogram import Bot
from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode

from app.bot.locales import say
from app.bot.middlewares.measure import known_type
from app.telemetry import tracer
from app.telemetry.catalogue import SET_ASIDE
from app.telemetry.context import continued, correlation_id, support_code
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count
from app.updates.claims import GivenUp

_log = logging.getLogger(__name__)

_EVERY_S = 60.0


class TellOfSetAside:
    """One for the process: it remembers when the admins heard of it last."""

    def __init__(self, bot: Bot, admin_ids: frozenset[int]) -> None:
        self._bot = bot
        self._admin_ids = admin_ids
        self._told_at = -_EVERY_S
        self._untold = 0

    async def __call__(self, update: GivenUp) -> None:
        """Tell of one update."""
        kind = known_type(update.kind)
        token = attach(continued(update.traceparent))
        try:
            count(SET_ASIDE, update_type=kind)
            _tell_trace(kind, update)
            await self._tell_admins(kind, update)
        finally:
            detach(token)

    async def _tell_admins(self, kind: str, update: GivenUp) -> None:
        self._untold += 1
        now = time.monotonic()
        if now - self._told_at < _EVERY_S:
            return
        text = say(
            "en",
            "set_aside",
            kind=kind,
            attempts=str(update.attempt),
            error=update.error_type,
            code=support_code(correlation_id()),
            more=str(self._untold - 1),
        )
        self._told_at, self._untold = now, 0
        for admin_id in sorted(self._admin_ids):
            try:
                await self._bot.send_message(admin_id, text)
            except Exception as error:  # one may have blocked the bot: the others are told all the same
                _log.warning("an admin was not told: %s", type(error).__qualname__)


def _tell_trace(kind: str, update: GivenUp) -> None:
    """Its last attempt may have died with its process, and then the trace would say nothing of how it ended."""
    attributes = {
        "messaging.system": "telegram",
        "messaging.message.id": str(update.update_id),
        "telegram.update.type": kind,
        "telegram.update.outcome": "set_aside",
        "error.type": update.error_type,
        "reason_code": update.reason,
    }
    with tracer.start_as_current_span(
        f"set aside {kind}", kind=SpanKind.CONSUMER, attributes=attributes
    ) as span:
        span.set_status(Status(StatusCode.ERROR))
        emit(
            Event.UPDATE_SET_ASIDE,
            update_id=update.update_id,
            update_type=kind,
            attempt=update.attempt,
            error_type=update.error_type,
            reason_code=update.reason,
        )
