"""The composition root: settings -> telemetry -> database -> bot -> jobs -> web, and the same backwards at the end.

One TaskGroup owns every long-lived loop: when one dies, all stop, and whoever started the process starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from typing import Any, TextIO

from aiohttp import web

from app import __version__
from app.bot import dispatcher as dispatchers
from app.bot.delivery import Delivery
from app.bot.desk import Desk
from app.bot.dossier import Archive
from app.bot.feed import Feed
from app.bot.intake import Intake
from app.bot.polling import Poller
from app.bot.presence import poll, set_webhook, watch_pending
from app.bot.reject import rejector
from app.config.settings import Settings
from app.db.migrate import migrate
from app.db.session import Database
from app.db.waiting import until_it_answers
from app.grace import stop_on_signals
from app.jobs import queue
from app.jobs.engines.ffmpeg import find_ffmpeg
from app.jobs.engines.ytdlp import YtDlpEngine
from app.jobs.ports import Limits
from app.jobs.watch import QueueWatch
from app.jobs.worker import Worker, WorkerConfig
from app.telemetry.catalogue import DB_POOL_CONNECTIONS, UPTIME
from app.telemetry.instruments import observe
from app.telemetry.loop_lag import watch_loop_lag
from app.telemetry.process import observe_process
from app.telemetry.setup import Sinks, Telemetry, TelemetryConfig, instrument_engine, setup
from app.telemetry.untraced import untraced
from app.traces.index import TraceIndex
from app.traces.verbosity import SharedVerbosity
from app.updates import inbox
from app.updates.people import People
from app.updates.service import Options, Updates
from app.web.guard import Guard
from app.web.routes import health, info, metrics, webhook
from app.web.server import serve
from app.web.vitals import Vitals

_log = logging.getLogger("app.main")

_started = time.monotonic()


def start_telemetry(
    settings: Settings, sinks: Sinks | None = None, log_stream: TextIO | None = None, *, strict: bool = False
) -> Telemetry:
    """Set the telemetry up as the settings say. Once a process. Log lines go to stdout, or to `log_stream`.

    `strict` lets telemetry that is wrong raise: for tests.
    """
    observe(UPTIME, _uptime)
    observe_process()
    config = TelemetryConfig(
        service_name=settings.otel_service_name,
        service_version=__version__,
        otlp_endpoint=settings.otel_exporter_otlp_endpoint,
        otlp_headers=settings.otlp_headers(),
        export_interval_ms=settings.otel_export_interval_ms,
        log_level=settings.log_level,
        hash_key=settings.hash_key.get_secret_value(),
        hash_rotation=settings.hash_rotation,
        strict=strict,
        secrets=settings.secrets(),
        trace_memory_mb=settings.trace_memory_mb,
    )
    return setup(config, sinks, log_stream)


def _uptime() -> float:
    return time.monotonic() - _started


class Runtime:
    """The parts of one running process, opened in order and closed in the opposite one."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.database = Database(
            settings.database_url.get_secret_value(), shared_connections=settings.database_shared_connections
        )
        self.lease_database = Database(
            settings.database_url.get_secret_value(),
            shared_connections=settings.database_shared_connections,
            pool_size=2,
        )
        observe(DB_POOL_CONNECTIONS, self.database.connections)
        self.updates: Updates | None = None
        self.bot = dispatchers.create_bot(settings.bot_token.get_secret_value(), settings.bot_api_url)
        self.limits = Limits(
            max_bytes=settings.max_file_mb * 1024 * 1024,
            max_duration_s=settings.max_duration_s,
            deadline_s=settings.job_deadline_s,
        )
        self._ffmpeg = find_ffmpeg(settings.ffmpeg_path or None)
        engine = YtDlpEngine(
            limits=self.limits,
            ffmpeg=self._ffmpeg,
            allow_hosts=settings.allow_hosts,
        )
        self.traces = TraceIndex(
            self.database, telemetry.recorder, settings.trace_retention_hours, telemetry.again
        )
        self.verbosity = SharedVerbosity(self.database, telemetry.verbosity)
        self.queue_watch = QueueWatch(self.database)
        self.worker = Worker(
            self.database,
            engine,
            Delivery(self.bot, self.limits),
            WorkerConfig(concurrency=settings.worker_concurrency),
        )

    async def open(self, stack: AsyncExitStack, stop: asyncio.Event) -> None:
        """Bring the schema up to date, unless `stop` is set first; close all connections when the stack ends."""
        stack.push_async_callback(self.database.close)
        stack.push_async_callback(self.lease_database.close)
        stack.push_async_callback(self.bot.session.close)
        await until_it_answers(self.database, self.settings.database_wait_s, stop)
        if stop.is_set():
            return
        await migrate(self.database)
        stack.callback(instrument_engine(self.database.engine.sync_engine))

    def desk(self) -> Desk:
        """What `/debug` asks."""
        return Desk(
            Archive.of(self.database, self.telemetry.recorder, self.traces, self.settings.tempo_url),
            self.verbosity,
            lambda: self.updates.lease.state if self.updates else "PASSIVE",
            self.settings.grafana_url,
            self.settings.otel_service_name,
            self.telemetry.again,
        )

    async def open_doors(self, stack: AsyncExitStack, *more: web.RouteDef) -> None:
        """Serve what every process has (`/metrics`, `/health`, the info page), and `more` beside the latter."""
        settings = self.settings
        checks: dict[str, health.Check] = {
            "database": self._database_is_there,
            "downloader": self._downloader_is_there,
        }
        needed: dict[str, health.Check] = {"database": self._database_is_there}
        if self.updates is not None:
            checks["updates"] = needed["updates"] = self.updates.take
        self.vitals = Vitals(checks)
        guard = Guard(
            tuple(settings.metrics_allow),
            tuple(settings.trusted_proxies),
            settings.metrics_user,
            settings.metrics_password.get_secret_value(),
        )
        probes = health.probes(needed)
        numbers = guard.protect(
            [*metrics.routes(self.telemetry.registry), *health.routes(self._base, checks)]
        )
        public = [*probes, *info.routes(__version__, numbers=not settings.metrics_port), *more]
        if settings.metrics_port:
            inside = serve(settings.web_host, settings.metrics_port, [*numbers, *probes], "METRICS_PORT")
            _log.info("numbers at %s", await stack.enter_async_context(inside))
        else:
            public += numbers
        address = await stack.enter_async_context(serve(settings.web_host, settings.web_port, public))
        _log.info("listening on %s", address)

    async def work(self, stop: asyncio.Event, *more: Coroutine[Any, Any, None]) -> None:
        """Run the loops that every process has, and `more`, until `stop` is set; its doors are open by then."""
        watches = (self.queue_watch.run(), self.vitals.run(), watch_loop_lag())
        own = (self.worker.run(), self.verbosity.run(), *watches)
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(loop) for loop in (*own, *more)]
            writing = group.create_task(self.traces.run())
            await stop.wait()
            _log.info("stopping")
            for loop in loops:
                loop.cancel()
            # What ends while they drain is written, too.
            await asyncio.wait(loops)
            writing.cancel()

    def _base(self) -> Mapping[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(_uptime(), 1),
            **(self.updates.lease.health() if self.updates else {}),
            "telemetry": self.telemetry.health(),
            "workers": {"running": self.worker.running, "limit": self.settings.worker_concurrency},
        }

    async def _downloader_is_there(self) -> Mapping[str, Any]:
        if not os.access(self._ffmpeg, os.X_OK) or find_spec("yt_dlp") is None:
            raise FileNotFoundError
        return {}

    async def _database_is_there(self) -> Mapping[str, Any]:
        with untraced():
            async with self.database.reading() as session:
                return {
                    "queue_size": await queue.depth(session),
                    "inbox_depth": await inbox.depth(session),
                }


async def run(
    settings: Settings, telemetry: Telemetry, stop: asyncio.Event | None = None, *, with_parent: bool = False
) -> None:
    """Run the bot until `stop` is set, or SIGINT or SIGTERM when none is given.

    `with_parent` also ends it when the process that started it is gone.
    """
    stop = stop or stop_on_signals()
    async with AsyncExitStack() as stack:
        runtime = Runtime(settings, telemetry)
        await runtime.open(stack, stop)
        if stop.is_set():
            return
        dispatcher = dispatchers.build(
            desk=runtime.desk(),
            admin_ids=settings.admin_ids,
            wake_worker=runtime.worker.wake,
            deadline_s=settings.update_deadline_s,
        )
        feed = Feed(dispatcher, runtime.bot, settings.admin_ids)
        updates = Updates(runtime.database, runtime.lease_database, feed, _options(settings))
        runtime.updates = updates
        reject = rejector(runtime.bot) if settings.passive_policy == "reject" else None
        intake = Intake(updates.door, updates.lease, reject)
        await stack.enter_async_context(updates.storing())
        secret = settings.webhook_secret.get_secret_value()
        hook = webhook.routes(intake.receive, secret) if settings.bot_mode == "webhook" else []
        await runtime.open_doors(stack, *hook)
        allowed = dispatcher.resolve_used_update_types()
        if settings.bot_mode == "polling":
            poller = Poller(runtime.bot, intake.receive, allowed)
            more = [updates.run(partial(poll, runtime.bot, poller))]
        else:
            more = [updates.run(partial(watch_pending, runtime.bot))]
            url = f"{settings.webhook_url}{webhook.PATH}"
            more.append(set_webhook(runtime.bot, url, secret, allowed))
        people = People(runtime.database, settings.activity_key())
        stack.push_async_callback(people.close)
        more.append(people.run())
        if with_parent:
            more.append(_watch_parent(stop))
        await runtime.work(stop, *more)


async def run_worker(settings: Settings, telemetry: Telemetry) -> None:
    """Run jobs only, until SIGINT or SIGTERM. Any number of these may share a database."""
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        runtime = Runtime(settings, telemetry)
        await runtime.open(stack, stop)
        if stop.is_set():
            return
        await runtime.open_doors(stack)
        await runtime.work(stop)


async def _watch_parent(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(1)
    stop.set()


def _options(settings: Settings) -> Options:
    return Options(
        inbox_limit=settings.inbox_limit,
        concurrency=settings.update_concurrency,
        heartbeat_s=settings.lease_heartbeat_s,
        expiry_s=settings.lease_expiry_s,
        body_retention_h=settings.update_body_retention_hours,
        row_retention_h=settings.trace_retention_hours,
    )
