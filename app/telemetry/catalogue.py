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

_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DURATION = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Label:
    """One attribute of a metric: `values` is the closed set, or None when the code bounds it to `limit` values."""

    key: str
    values: tuple[str, ...] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is the OpenTelemetry name, `unit` UCUM, `buckets` in the metric's unit."""

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        # Unit "1" becomes `_ratio` in the Collector but nothing in the Python exporter (ADR 0003).
        if self.unit not in _UNIT_SUFFIX and not self.unit.startswith("{"):
            raise ValueError(f"{self.name}: the unit is one of {[*_UNIT_SUFFIX]} or an annotation in braces")
        if (self.kind == "histogram") != (self.buckets is not None):
            raise ValueError(f"{self.name}: a histogram has buckets, nothing else does")

    @property
    def prometheus(self) -> str:
        """The family name as Prometheus stores it, by scrape and by OTLP alike."""
        parts = [self.name.replace(".", "_"), _UNIT_SUFFIX.get(self.unit, "")]
        return "_".join([part for part in parts if part] + (["total"] if self.kind == "counter" else []))


_UPDATE_TYPE = Label("update_type", UPDATE_TYPES)
_FORMAT = Label("format", ("mp3",))

UPDATE_LATENCY = Metric(
    "bot.update.latency",
    "histogram",
    "s",
    "Time from the start of an update's processing to its end.",
    (_UPDATE_TYPE, Label("outcome", ("handled", "unhandled", "error"))),
    _LATENCY,
)
UPDATES = Metric("bot.updates", "counter", "{update}", "Updates processed.", (_UPDATE_TYPE,))
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
CALLBACKS = Metric(
    "bot.callbacks",
    "counter",
    "{press}",
    "Presses by button of the UI registry and by what became of them.",
    (Label("button"), Label("reason", tuple(Reason))),
)
ACTIVE_USERS = Metric("bot.active.users", "gauge", "{user}", "Users seen in the last five minutes.")
UPTIME = Metric("bot.uptime", "gauge", "s", "Seconds since this process started.")

DOWNLOAD_DURATION = Metric(
    "bot.download.duration",
    "histogram",
    "s",
    "Time of one download with its conversion.",
    (_FORMAT,),
    _DURATION,
)
DOWNLOAD_SUCCESS = Metric("bot.download.success", "counter", "{download}", "Downloads delivered.", (_FORMAT,))
DOWNLOAD_FAILURE = Metric(
    "bot.download.failure",
    "counter",
    "{download}",
    "Downloads that ended without a file, by reason.",
    (_FORMAT, Label("error_type", tuple(Reason))),
)

CATALOGUE: tuple[Metric, ...] = (
    UPDATE_LATENCY,
    UPDATES,
    UPDATE_ERRORS,
    COMMAND_USAGE,
    CALLBACKS,
    ACTIVE_USERS,
    UPTIME,
    DOWNLOAD_DURATION,
    DOWNLOAD_SUCCESS,
    DOWNLOAD_FAILURE,
)
