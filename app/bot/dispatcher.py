"""The bot put together: routers, middlewares and the client, in one readable list."""

from __future__ import annotations

from collections.abc import Callable

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode

from app.bot.desk import Desk
from app.bot.handlers import admin, fallback, link, start
from app.bot.middlewares.calls import MeasureCalls
from app.bot.middlewares.commands import TellCommands
from app.bot.middlewares.handler import AroundHandler
from app.bot.middlewares.measure import Measure
from app.bot.middlewares.presses import JudgePresses, TellRoute
from app.bot.middlewares.retry import Retry
from app.bot.session import REQUEST_TIMEOUT_S, SafeSession


def create_bot(token: str, api_url: str) -> Bot:
    """The client of the Bot API. Its session is opened by the first call; close it with `bot.session.close()`."""
    session = SafeSession(api=TelegramAPIServer.from_base(api_url), timeout=REQUEST_TIMEOUT_S)
    session.middleware(Retry())
    session.middleware(MeasureCalls())  # inside: each attempt is measured
    defaults = DefaultBotProperties(parse_mode=ParseMode.HTML, link_preview_is_disabled=True)
    return Bot(token, session=session, default=defaults)


def build(
    *,
    desk: Desk,
    admin_ids: frozenset[int],
    wake_worker: Callable[[], None],
    deadline_s: float,
) -> Dispatcher:
    """The dispatcher. Handlers get what is passed here, the `language` and the `turn` by name."""
    # No conversation state is kept in memory: a screen carries what it needs.
    dispatcher = Dispatcher(name="tracegram", disable_fsm=True)
    dispatcher["desk"] = desk
    dispatcher["wake_worker"] = wake_worker
    dispatcher.update.outer_middleware(Measure(deadline_s))
    dispatcher.message.outer_middleware(TellCommands())
    dispatcher.message.middleware(AroundHandler())
    dispatcher.callback_query.outer_middleware(JudgePresses())
    dispatcher.callback_query.middleware(AroundHandler())
    dispatcher.callback_query.middleware(TellRoute())
    dispatcher.include_routers(start.router(), admin.router(admin_ids), link.router(), fallback.router())
    return dispatcher
