"""The composition root: settings -> telemetry -> database -> bot -> jobs -> web, and the same backwards at the end.

One TaskGroup owns every long-lived loop: when one dies, all stop, and whoever started the process starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from itertools import chain, repeat
from typing import Any, TextIO

from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.types import BotCommand
from aiohttp import web

from app import __version__
from app.bot import dispatcher as dispatchers
from app.bot.delivery import Delivery
from app.bot.desk import Desk
from app.bot.intake import Intake
from app.bot.locales import LANGUAGES
from app.bot.polling import Poller
from app.config.settings import Settings
from app.db.migrate import migrate
from app.db.session import Database
from app.errors import ConfigError
from app.grace import stop_on_signals
from app.jobs import queue
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import Limits
from app.jobs.worker import Worker, WorkerConfig
from app.telemetry.activity import active_users
from app.telemetry.catalogue import ACTIVE_USERS, UPTIME
from app.telemetry.instruments import observe
from app.telemetry.setup import Sinks, Telemetry, TelemetryConfig, instrument_engine, setup
from app.telemetry.untraced import untraced
from app.traces.index import TraceIndex
from app.web.routes import health, info, metrics, webhook
from app.web.server import serve

_log = logging.getLogger("app.main")

_started = time.monotonic()


def start_telemetry(
    settings: Settings, sinks: Sinks | None = None, log_stream: TextIO | None = None, *, strict: bool = False
) -> Telemetry:
    """Set the telemetry up as the settings say. Once a process. Log lines go to stdout, or to `log_stream`.

    `strict` lets telemetry that is wrong raise: for tests.
    """
    observe(ACTIVE_USERS, active_users)
    observe(UPTIME, _uptime)
    config = TelemetryConfig(
        service_name=settings.otel_service_name,
        service_version=__version__,
        otlp_endpoint=settings.otel_exporter_otlp_endpoint,
        otlp_headers=settings.otlp_headers(),
        export_interval_ms=settings.otel_export_interval_ms,
        log_level=settings.log_level,
        hash_key=settings.hash_key.get_secret_value(),
        strict=strict,
        secrets=settings.secrets(),
    )
    return setup(config, sinks, log_stream)


def _uptime() -> float:
    return time.monotonic() - _started


class Runtime:
    """The parts of one running process, opened in order and closed in the opposite one."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.database = Database(settings.database_url.get_secret_value())
        self.bot = dispatchers.create_bot(settings.bot_token.get_secret_value(), settings.bot_api_url)
        self.limits = Limits(
            max_bytes=settings.max_file_mb * 1024 * 1024,
            max_duration_s=settings.max_duration_s,
            deadline_s=settings.job_deadline_s,
        )
        engine = YtDlpEngine(
            limits=self.limits,
            ffmpeg=find_ffmpeg(settings.ffmpeg_path or None),
            allow_hosts=settings.allow_hosts,
        )
        self.traces = TraceIndex(self.database, telemetry.recorder, settings.trace_retention_hours)
        self.worker = Worker(
            self.database,
            engine,
            Delivery(self.bot, self.limits),
            WorkerConfig(concurrency=settings.worker_concurrency),
        )

    async def open(self, stack: AsyncExitStack) -> None:
        """Bring the schema up to date; close the database and the bot's session when the stack ends."""
        stack.push_async_callback(self.database.close)
        stack.push_async_callback(self.bot.session.close)
        await migrate(self.database.engine)
        stack.callback(instrument_engine(self.database.engine.sync_engine))

    def routes(self) -> list[web.RouteDef]:
        """The doors that every process has: `/metrics`, `/health` and the info page."""
        return [
            *metrics.routes(self.telemetry.registry),
            *health.routes(self._base, {"database": self._database_is_there}),
            *info.routes(__version__),
        ]

    async def work(self, stop: asyncio.Event, *more: Coroutine[Any, Any, None]) -> None:
        """Run the loops that every process has, and `more`, until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(loop) for loop in (self.worker.run(), self.traces.run(), *more)]
            await stop.wait()
            _log.info("stopping")
            for loop in loops:
                loop.cancel()

    def _base(self) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(_uptime(), 1),
            "workers": {"running": self.worker.running, "limit": self.settings.worker_concurrency},
        }

    async def _database_is_there(self) -> Mapping[str, Any]:
        with untraced():
            async with self.database.reading() as session:
                return {"queue_size": await queue.depth(session)}


async def run(
    settings: Settings, telemetry: Telemetry, stop: asyncio.Event | None = None, *, with_parent: bool = False
) -> None:
    """Run the bot until `stop` is set, or SIGINT or SIGTERM when none is given.

    `with_parent` also ends it when the process that started it is gone.
    """
    stop = stop or stop_on_signals()
    async with AsyncExitStack() as stack:
        runtime = Runtime(settings, telemetry)
        await runtime.open(stack)
        dispatcher = dispatchers.build(
            database=runtime.database,
            desk=Desk(
                telemetry.recorder,
                runtime.traces,
                telemetry.verbosity,
                settings.grafana_url,
                settings.otel_service_name,
            ),
            admin_ids=settings.admin_ids,
            wake_worker=runtime.worker.wake,
        )
        intake = Intake(dispatcher, runtime.bot)
        routes = runtime.routes()
        if settings.bot_mode == "webhook":
            routes += webhook.routes(intake.accept, settings.webhook_secret.get_secret_value())
        address = await stack.enter_async_context(serve(settings.web_host, settings.web_port, routes))
        _log.info("listening on %s", address)
        allowed = dispatcher.resolve_used_update_types()
        if settings.bot_mode == "polling":
            more = [_poll(runtime.bot, intake, allowed)]
        else:
            more = [_set_webhook(runtime.bot, settings, allowed)]
        if with_parent:
            more.append(_watch_parent(stop))
        await runtime.work(stop, *more)


async def run_worker(settings: Settings, telemetry: Telemetry) -> None:
    """Run jobs only, until SIGINT or SIGTERM. Any number of these may share a database."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        runtime = Runtime(settings, telemetry)
        await runtime.open(stack)
        await stack.enter_async_context(serve(settings.web_host, settings.web_port, runtime.routes()))
        await runtime.work(stop)


async def _watch_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(1)
    stop.set()


async def _poll(bot: Bot, intake: Intake, allowed_updates: list[str]) -> None:
    async def prepare() -> None:
        # A webhook that is still set would make every poll fail; what it has not delivered stays.
        await bot.delete_webhook(drop_pending_updates=False)
        await _publish_commands(bot)

    await _until_done(prepare)
    await Poller(bot, intake, allowed_updates).run()


async def _set_webhook(bot: Bot, settings: Settings, allowed_updates: list[str]) -> None:
    async def prepare() -> None:
        await bot.set_webhook(
            f"{settings.webhook_url}{webhook.PATH}",
            secret_token=settings.webhook_secret.get_secret_value(),
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
