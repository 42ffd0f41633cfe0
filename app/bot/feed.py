"""Feeds an update from the inbox to the dispatcher, in the trace that began at its receipt."""

from __future__ import annotations

import logging
import time

from aiogram import Bot, Dispatcher
from aiogram.types import Update
from opentelemetry.context import attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode
from pydantic import ValidationError

from app.bot import show
from app.bot.aside import TellOfSetAside
from app.bot.middlewares.measure import known_type
from app.bot.middlewares.retry import within
from app.bot.reasons import reason_of
from app.telemetry import tracer
from app.telemetry.catalogue import ERRORS, UPDATE_ERRORS, UPDATES
from app.telemetry.context import continued
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count
from app.updates.claims import GivenUp
from app.updates.turn import Turn

_log = logging.getLogger(__name__)


class Feed:
    """The port `Processor` of the leader, on aiogram."""

    def __init__(self, dispatcher: Dispatcher, bot: Bot, admin_ids: frozenset[int] = frozenset()) -> None:
        self._dispatcher = dispatcher
        self._bot = bot
        self._tell_of_set_aside = TellOfSetAside(bot, admin_ids)

    async def process(self, turn: Turn) -> None:
        """Process one update. Its failure is told and judged by the error handler, which gets the turn."""
        token = attach(continued(turn.claimed.traceparent))
        try:
            started = time.perf_counter()
            try:
                update = self._read(turn.claimed.body)
            except ValidationError as error:
                # No other try reads it; a newer version may.
                turn.reason = reason_of(error)
                turn.set_aside(error)
                _tell_unreadable(turn, started)
                return
            with show.answered_before(turn.claimed.hurried), within(turn):
                await self._dispatcher.feed_update(self._bot, update, turn=turn)
        finally:
            detach(token)

    async def hurry(self, body: str, traceparent: str) -> None:
        """Stop the spinning of a button whose press waits behind another update. What it says comes later."""
        token = attach(continued(traceparent))
        try:
            update = self._read(body)
            if update.callback_query is not None:
                await show.acknowledge(update.callback_query)
        except Exception as error:  # the press is served all the same
            _log.warning("a waiting press was not answered: %s", type(error).__qualname__)
        finally:
            detach(token)

    async def give_up(self, update: GivenUp) -> None:
        """Tell of an update that was set aside."""
        await self._tell_of_set_aside(update)

    def _read(self, body: str) -> Update:
        """Raises `ValidationError` for a form of tomorrow, or of nobody's."""
        return Update.model_validate_json(body, context={"bot": self._bot})


def _tell_unreadable(turn: Turn, started: float) -> None:
    """As instrumentation and `Measure` would: aiogram never sees this update, and the Collector keeps what failed."""
    kind = known_type(turn.claimed.kind)
    count(UPDATES, update_type=kind, outcome="error")
    count(ERRORS, category="internal")
    count(UPDATE_ERRORS, update_type=kind, error_type=turn.failed)
    with tracer.start_as_current_span(
        f"process {kind}",
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "telegram",
            "messaging.message.id": str(turn.claimed.update_id),
            "telegram.update.type": kind,
            "telegram.update.outcome": "error",
            "error.type": turn.failed,
            "reason_code": turn.reason,
        },
    ) as span:
        span.set_status(Status(StatusCode.ERROR))
        _log.error("an update has a form that this version cannot read")
        emit(
            Event.DISPATCH_FAIL,
            update_id=turn.claimed.update_id,
            update_type=kind,
            error_type=turn.failed,
            reason_code=str(turn.reason),
            latency_ms=round((time.perf_counter() - started) * 1000, 1),
            attempt=turn.claimed.attempt,
        )
