"""Around every press: judged by the registry before any handler sees it, and told step by step.

An impossible press is answered and goes no further. A press that no handler takes (an admin's button, pressed by
somebody else) is answered in the same words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiogram import BaseMiddleware
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.types import CallbackQuery, InlineKeyboardMarkup, Message, TelegramObject, Update
from opentelemetry import trace

from app.bot import show
from app.bot.locales import say
from app.bot.middlewares.handler import handler_name
from app.bot.registry import Impossible, Press, judge
from app.errors import Reason
from app.telemetry.catalogue import CALLBACKS
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.identity import hashed
from app.telemetry.instruments import count
from app.telemetry.rendered import link_back
from app.updates.envelope import PRESS_LIFE_S
from app.updates.turn import Turn

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]

#: Why a press was rejected that waited longer than Telegram remembers presses.
TOO_LATE = f"the press waited longer than {PRESS_LIFE_S} s"

_NOBODYS = Impossible(Reason.UNKNOWN_CALLBACK, "no handler takes this button from this user")


class JudgePresses(BaseMiddleware):
    """Outer middleware of callback queries: handlers get the `press`."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Let a possible press through; answer any other."""
        if not isinstance(event, CallbackQuery):
            return await handler(event, data)
        update: Update = data["event_update"]
        emit(
            Event.CALLBACK_RECEIVED,
            update_id=update.update_id,
            callback_id=event.id,
            user_hash=hashed(event.from_user.id),
        )
        if event.message is not None:
            link_back(event.message.chat.id, event.message.message_id)
        turn: Turn | None = data.get("turn")
        verdict = judge(event.data, list(_standing(event.message)))
        if turn is not None and turn.waited_s > PRESS_LIFE_S:
            late = Impossible(Reason.STATE_MISMATCH, TOO_LATE)
            return await _reject(event, say(data["language"], "press_too_late"), late, None, turn)
        if isinstance(verdict, Impossible):
            return await _reject(event, say(data["language"], "button_outdated"), verdict, None, turn)
        data["press"] = verdict
        screen, button = verdict.screen.name, verdict.button.name
        trace.get_current_span().set_attributes({"telegram.screen.id": screen, "telegram.button.id": button})
        result = await handler(event, data)
        if result is UNHANDLED:
            return await _reject(event, say(data["language"], "button_outdated"), _NOBODYS, verdict, turn)
        if turn is not None:
            turn.reason = Reason.SUCCESS
        emit(Event.CALLBACK_ACCEPTED, screen_id=screen, button_id=button)
        count(CALLBACKS, button=button, reason=Reason.SUCCESS)
        return result


async def _reject(
    query: CallbackQuery, said: str, why: Impossible, press: Press | None, turn: Turn | None
) -> None:
    if turn is not None:
        turn.outcome, turn.reason = "rejected", why.reason
    trace.get_current_span().set_attribute("reason_code", why.reason)
    names = {"screen_id": press.screen.name, "button_id": press.button.name} if press else {}
    fields = {"reason_code": why.reason.value, "reason_text": why.text, **names}
    emit(Event.CALLBACK_REJECTED, **fields)
    count(CALLBACKS, button=press.button.name if press else "none", reason=why.reason)
    await show.acknowledge(query, said)


class TellRoute(BaseMiddleware):
    """Inner middleware of callback queries: says which handler takes the press."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Tell, then let it through."""
        press: Press = data["press"]
        emit(
            Event.CALLBACK_ROUTED,
            handler=handler_name(data["handler"].callback),
            screen_id=press.screen.name,
            button_id=press.button.name,
        )
        return await handler(event, data)


def _standing(message: object) -> Iterator[str]:
    """The callback data of the buttons that stand on a message now; Telegram sends them with the press."""
    keyboard = message.reply_markup if isinstance(message, Message) else None
    if isinstance(keyboard, InlineKeyboardMarkup):
        for row in keyboard.inline_keyboard:
            yield from (button.callback_data for button in row if button.callback_data)
