"""Every metric that Tracegram emits, declared once.

Instruments, SDK views, `docs/metrics.md` and the consistency tests are derived from `CATALOGUE`: a metric or a label
that is not here cannot come out of `/metrics` or OTLP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.errors import Reason

Kind = Literal["counter", "gauge", "histogram"]

_UNIT_SUFFIX = {"s": "seconds", "By": "bytes"}

#: Update types of the Bot API that the bot asks for; anything else is `other`.
UPDATE_TYPES = ("message", "callback_query", "other")

#: The commands of the bot; what anybody else types after a slash is `other`.
COMMANDS = ("start", "help", "debug", "other")

#: The part that failed.
ERROR_CATEGORIES = ("telegram", "database", "download", "delivery", "timeout", "lease", "internal")

#: How one attempt at a Bot API call can end.
API_OUTCOMES = (
    *("ok", "retry_after", "bad_request", "unauthorized", "forbidden", "not_found", "conflict", "too_large"),
    *("server_error", "network_error", "bad_answer", "cancelled", "other"),
)

#: What a value comes out as that no label declares.
OTHER = "other"

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_STALL = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_WAIT = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ACKNOWLEDGED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.8, 1.0, 2.0)
_LAG = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 21600.0, 86400.0)
_DURATION = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Label:
    """One attribute of a metric: `values` is the closed set; None lets the first `limit` values from the code in.

    What is beyond that comes out as `other` (`app/telemetry/labels.py`).
    """

    key: str
    values: tuple[str, ...] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is the OpenTelemetry name, `unit` UCUM, `buckets` in the metric's unit.

    A gauge is asked for its value at each collection, and so is a counter that is `observed`.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] | None = None
    observed: bool = False

    def __post_init__(self) -> None:
        # Unit "1" becomes `_ratio` in the Collector but nothing in the Python exporter (ADR 0003).
        if self.unit not in _UNIT_SUFFIX and not self.unit.startswith("{"):
            raise ValueError(f"{self.name}: the unit is one of {[*_UNIT_SUFFIX]} or an annotation in braces")
        if (self.kind == "histogram") != (self.buckets is not None):
            raise ValueError(f"{self.name}: a histogram has buckets, nothing else does")
        if self.kind == "gauge" and len(self.labels) > 1:
            raise ValueError(
                f"{self.name}: a gauge is told as a number, or as one for each value of one label"
            )

    @property
    def prometheus(self) -> str:
        """The family name as Prometheus stores it, by scrape and by OTLP alike."""
        parts = [self.name.replace(".", "_"), _UNIT_SUFFIX.get(self.unit, "")]
        return "_".join([part for part in parts if part] + (["total"] if self.kind == "counter" else []))


_UPDATE_TYPE = Label("update_type", UPDATE_TYPES)
_OUTCOME = Label("outcome", ("handled", "unhandled", "rejected", "error"))
_FORMAT = Label("format", ("mp3",))
_QUALITY = Label("quality", ("128k", "192k", "320k"))
_PRIORITY = Label("priority", ("normal",))
_ENGINE = Label("engine", ("yt-dlp",))
_METHOD = Label("method", limit=60)

UPDATE_LATENCY = Metric(
    "bot.update.latency",
    "histogram",
    "s",
    "Time from the start of an update's processing to its end.",
    (_UPDATE_TYPE, _OUTCOME),
    _LATENCY,
)
UPDATES = Metric(
    "bot.updates", "counter", "{update}", "Updates processed, each attempt.", (_UPDATE_TYPE, _OUTCOME)
)
UPDATE_ERRORS = Metric(
    "bot.update.errors",
    "counter",
    "{error}",
    "Updates whose processing failed, by the class of the exception.",
    (_UPDATE_TYPE, Label("error_type")),
)
COMMAND_USAGE = Metric(
    "bot.command.usage", "counter", "{command}", "Commands that came in.", (Label("command", COMMANDS),)
)
ADMIN_DENIED = Metric(
    "bot.admin.denied",
    "counter",
    "{attempt}",
    "Commands and buttons of admins that somebody else tried, or an admin in a group.",
    (Label("via", ("command", "button")),),
)
CALLBACKS = Metric(
    "bot.callbacks",
    "counter",
    "{press}",
    "Presses by button of the UI registry and by what became of them.",
    (Label("button"), Label("reason", tuple(Reason))),
)
HANDLER_LATENCY = Metric(
    "bot.handler.latency",
    "histogram",
    "s",
    "Time of one call of a handler.",
    (Label("handler", limit=100),),
    _LATENCY,
)
ERRORS = Metric(
    "bot.errors",
    "counter",
    "{error}",
    "Failures of updates and jobs, by the part that failed. What a person asked wrongly is none.",
    (Label("category", ERROR_CATEGORIES),),
)
RATE_LIMIT_HITS = Metric(
    "bot.rate.limit.hits",
    "counter",
    "{hit}",
    "Answers with 429: Telegram's to a call of ours, or ours to its webhook when the inbox is full.",
    (Label("category", ("telegram", "inbox")),),
)

API_DURATION = Metric(
    "bot.api.request.duration",
    "histogram",
    "s",
    "Time of one attempt at a Bot API call, but not of long polls.",
    (_METHOD, Label("outcome", API_OUTCOMES)),
    _CALL,
)
API_RETRY_AFTER = Metric(
    "bot.api.retry.after",
    "counter",
    "s",
    "Seconds that Telegram told us to wait.",
    (_METHOD,),
)
API_THROTTLE_WAIT = Metric(
    "bot.api.throttle.wait",
    "histogram",
    "s",
    "Time that a call waited before its next attempt, because Telegram said so.",
    (_METHOD,),
    _WAIT,
)

ACTIVE_USERS = Metric(
    "bot.active.users", "gauge", "{user}", "Users seen in the last five minutes, by any instance."
)
DAILY_ACTIVE_USERS = Metric(
    "bot.daily.active.users", "gauge", "{user}", "Users seen in the last 24 hours, by any instance."
)
MONTHLY_ACTIVE_USERS = Metric(
    "bot.monthly.active.users", "gauge", "{user}", "Users seen in the last 30 days, by any instance."
)
UPTIME = Metric("bot.uptime", "gauge", "s", "Seconds since this process started.")

DOWNLOAD_DURATION = Metric(
    "bot.download.duration",
    "histogram",
    "s",
    "Time of one download with its conversion.",
    (_FORMAT, _QUALITY),
    _DURATION,
)
DOWNLOAD_SUCCESS = Metric(
    "bot.download.success", "counter", "{download}", "Downloads delivered.", (_FORMAT, _QUALITY)
)
DOWNLOAD_FAILURE = Metric(
    "bot.download.failure",
    "counter",
    "{download}",
    "Downloads that ended without a file, by reason.",
    (_FORMAT, Label("error_type", tuple(Reason))),
)
FORMAT_REQUESTS = Metric(
    "bot.format.requests", "counter", "{request}", "Downloads asked for.", (_FORMAT, _QUALITY)
)

QUEUE_DEPTH = Metric("bot.queue.depth", "gauge", "{job}", "Jobs that wait, in all processes.", (_PRIORITY,))
QUEUE_OLDEST_AGE = Metric(
    "bot.queue.oldest.age",
    "gauge",
    "s",
    "Seconds since the job that waits longest was due; 0 when none is.",
    (_PRIORITY,),
)
QUEUE_WAIT = Metric(
    "bot.queue.wait.time",
    "histogram",
    "s",
    "Time from when a job was due to when a worker took it; a dead worker's time with it counts.",
    (_PRIORITY,),
    _DURATION,
)
JOBS = Metric(
    "bot.jobs", "counter", "{job}", "Jobs that ended.", (_ENGINE, Label("outcome", ("done", "failed")))
)
JOB_RETRIES = Metric("bot.job.retries", "counter", "{job}", "Jobs put back for another attempt.", (_ENGINE,))

RECEIVE_LAG = Metric(
    "bot.update.receive.lag",
    "histogram",
    "s",
    "Time from when a message was sent, by Telegram's clock in whole seconds, to its receipt here.",
    (_UPDATE_TYPE,),
    _LAG,
)
DUPLICATES = Metric(
    "bot.duplicate.updates", "counter", "{update}", "Updates that came more than once.", (_UPDATE_TYPE,)
)
SET_ASIDE = Metric(
    "bot.updates.set.aside",
    "counter",
    "{update}",
    "Updates given up: they failed too often or took too long, or this version cannot read them.",
    (_UPDATE_TYPE,),
)
INBOX_DEPTH = Metric("bot.inbox.depth", "gauge", "{update}", "Updates in the inbox that wait or run.")
PENDING_UPDATES = Metric(
    "bot.pending.updates",
    "gauge",
    "{update}",
    "Updates that Telegram has not delivered yet, as it says itself.",
)
WEBHOOK_LATENCY = Metric(
    "bot.webhook.latency",
    "histogram",
    "s",
    "Time from a POST of Telegram to its answer.",
    (Label("outcome", ("stored", "duplicate", "rejected", "refused", "full", "unavailable")),),
    _ACKNOWLEDGED,
)
HEALTH_STATE = Metric(
    "bot.health.state",
    "gauge",
    "{state}",
    "1 while this part of the process is well, as `/health` says, else 0.",
    (Label("part", ("database", "downloader", "updates")),),
)
LEADER_STATE = Metric("bot.leader.state", "gauge", "{state}", "1 while this instance is ACTIVE, else 0.")
LOCK_HEARTBEAT_AGE = Metric(
    "bot.lock.heartbeat.age", "gauge", "s", "Seconds since the last heartbeat of the ACTIVE instance."
)
LOCK_TAKEOVERS = Metric(
    "bot.lock.takeovers", "counter", "{takeover}", "Leases taken from an instance that had fallen silent."
)
LOCK_EPOCH = Metric(
    "bot.lock.epoch", "gauge", "{epoch}", "The lease's fencing token; each take-over raises it."
)
TELEMETRY_DROPPED = Metric(
    "bot.telemetry.dropped",
    "counter",
    "{item}",
    "Spans and log records, and exports of metrics, that the Collector never got.",
    (Label("signal", ("spans", "logs", "metrics")),),
)

#: The pipeline's own, by the names of OpenTelemetry's conventions (semantic conventions, "OpenTelemetry SDK metrics").
SPANS_EXPORTED = Metric(
    "otel.sdk.exporter.span.exported",
    "counter",
    "{span}",
    "Spans that the Collector has taken.",
    observed=True,
)
LOGS_EXPORTED = Metric(
    "otel.sdk.exporter.log.exported",
    "counter",
    "{log_record}",
    "Log records that the Collector has taken.",
    observed=True,
)
SPAN_QUEUE_SIZE = Metric(
    "otel.sdk.processor.span.queue.size", "gauge", "{span}", "Spans that wait for their export."
)
SPAN_QUEUE_CAPACITY = Metric(
    "otel.sdk.processor.span.queue.capacity",
    "gauge",
    "{span}",
    "Spans that can wait; beyond, the oldest are lost.",
)
LOG_QUEUE_SIZE = Metric(
    "otel.sdk.processor.log.queue.size", "gauge", "{log_record}", "Log records that wait for their export."
)
LOG_QUEUE_CAPACITY = Metric(
    "otel.sdk.processor.log.queue.capacity",
    "gauge",
    "{log_record}",
    "Log records that can wait; beyond, the oldest are lost.",
)

DB_POOL_CONNECTIONS = Metric(
    "bot.db.pool.connections",
    "gauge",
    "{connection}",
    "Places of this process's connection pool: together they are its limit.",
    (Label("state", ("used", "idle", "unopened")),),
)
DB_POOL_WAIT = Metric(
    "bot.db.pool.wait",
    "histogram",
    "s",
    "Time from asking the pool for a connection to having one that works.",
    (),
    _STALL,
)
EVENT_LOOP_LAG = Metric(
    "bot.event.loop.lag",
    "histogram",
    "s",
    "How much too late the event loop came back to a task that had slept, four times a second.",
    (),
    _STALL,
)
PROCESS_CPU = Metric(
    "process.cpu.time", "counter", "s", "CPU time of this process, in user and system mode.", observed=True
)
PROCESS_MEMORY = Metric("process.memory.usage", "gauge", "By", "Memory of this process that is in RAM.")
PROCESS_FILES = Metric(
    "process.open_file_descriptor.count", "gauge", "{file_descriptor}", "File descriptors that are open."
)
PROCESS_THREADS = Metric("process.thread.count", "gauge", "{thread}", "Threads of this process.")

CATALOGUE: tuple[Metric, ...] = (
    UPDATE_LATENCY,
    UPDATES,
    UPDATE_ERRORS,
    HANDLER_LATENCY,
    COMMAND_USAGE,
    ADMIN_DENIED,
    CALLBACKS,
    ERRORS,
    RATE_LIMIT_HITS,
    API_DURATION,
    API_RETRY_AFTER,
    API_THROTTLE_WAIT,
    ACTIVE_USERS,
    DAILY_ACTIVE_USERS,
    MONTHLY_ACTIVE_USERS,
    UPTIME,
    DOWNLOAD_DURATION,
    DOWNLOAD_SUCCESS,
    DOWNLOAD_FAILURE,
    FORMAT_REQUESTS,
    QUEUE_DEPTH,
    QUEUE_OLDEST_AGE,
    QUEUE_WAIT,
    JOBS,
    JOB_RETRIES,
    RECEIVE_LAG,
    DUPLICATES,
    SET_ASIDE,
    INBOX_DEPTH,
    PENDING_UPDATES,
    WEBHOOK_LATENCY,
    HEALTH_STATE,
    LEADER_STATE,
    LOCK_HEARTBEAT_AGE,
    LOCK_TAKEOVERS,
    LOCK_EPOCH,
    TELEMETRY_DROPPED,
    SPANS_EXPORTED,
    LOGS_EXPORTED,
    SPAN_QUEUE_SIZE,
    SPAN_QUEUE_CAPACITY,
    LOG_QUEUE_SIZE,
    LOG_QUEUE_CAPACITY,
    DB_POOL_CONNECTIONS,
    DB_POOL_WAIT,
    EVENT_LOOP_LAG,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_FILES,
    PROCESS_THREADS,
)
