"""What the bot tells Telegram of itself when it starts (webhook or none, its commands), and asks about what is pending."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import chain, repeat

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import BotCommand

from app.bot.locales import LANGUAGES
from app.bot.polling import Poller
from app.errors import ConfigError
from app.telemetry.catalogue import PENDING_UPDATES
from app.telemetry.instruments import observe
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)


async def watch_pending(bot: Bot) -> None:
    """Ask Telegram once a minute what it could not deliver."""
    pending: float | None = 0.0
    observe(PENDING_UPDATES, lambda: pending)
    try:
        while True:
            try:
                with untraced():
                    pending = float((await bot.get_webhook_info()).pending_update_count)
            except AiogramError as error:
                _log.info("Telegram does not say what is pending: %s", type(error).__qualname__)
            await asyncio.sleep(60)
    finally:
        pending = None  # who no longer leads knows nothing of it


async def poll(bot: Bot, poller: Poller) -> None:
    """Take the webhook away, and poll until cancelled."""

    async def prepare() -> None:
        # A webhook that is still set would make every poll fail; what it has not delivered stays.
        await bot.delete_webhook(drop_pending_updates=False)
        await _publish_commands(bot)

    await _until_done(prepare)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch_pending(bot))
        await poller.run()


async def set_webhook(bot: Bot, url: str, secret: str, allowed_updates: list[str]) -> None:
    """Tell Telegram where to post updates. Raises `ConfigError` when it does not know the token."""

    async def prepare() -> None:
        await bot.set_webhook(
            url,
            secret_token=secret,
            allowed_updates=allowed_updates,
        )
        await _publish_commands(bot)

    await _until_done(prepare)
    _log.info("webhook set")


async def _until_done(prepare: Callable[[], Awaitable[None]]) -> None:
    """Try until the Bot API takes it: it may be down, or come up after the bot."""
    pauses = chain((0.5, 1.0, 2.0, 5.0), repeat(10.0))
    while True:
        try:
            with untraced():  # the traces are for what people do
                await prepare()
                return
        except (TelegramUnauthorizedError, TelegramNotFound) as error:
            raise ConfigError(
                "BOT_TOKEN: Telegram does not know this token. Ask @BotFather for the current one."
            ) from error
        except AiogramError as error:
            _log.warning(
                "the Bot API does not answer as it should (%s); trying again", type(error).__qualname__
            )
            await asyncio.sleep(next(pauses))


async def _publish_commands(bot: Bot) -> None:
    for code, texts in LANGUAGES.items():
        commands = [
            BotCommand(command=name, description=texts[f"command_{name}"]) for name in ("start", "help")
        ]
        # English is also what everybody else sees.
        await bot.set_my_commands(commands, language_code=None if code == "en" else code)
