"""The dashboard of updates: from Telegram's door through inbox and handlers to the calls that answer, and who is ACTIVE."""

from __future__ import annotations

from app.config.alerting import DEFAULTS
from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Board, Panel, Query, Row
from deploy.grafana.source.promql import (
    buckets,
    count,
    highest,
    or_none,
    quantile,
    rate,
    top,
    total,
)
from deploy.grafana.source.telegram import CALLS, DOOR

_PROCESSING = Row(
    "Processing",
    (
        Panel(
            "Time of updates",
            "How long updates take; a dot is one update, and a click on it opens its trace if it was kept.",
            "heatmap",
            "s",
            (Query(buckets(c.UPDATE_LATENCY), exemplar=True),),
            width=12,
            height=9,
        ),
        Panel(
            "Time of updates: quantiles",
            "50, 95 and 99 of 100 updates are done within this; dots are single updates with their traces.",
            "graph",
            "s",
            (
                Query(quantile(0.5, c.UPDATE_LATENCY), "p50"),
                Query(quantile(0.95, c.UPDATE_LATENCY), "p95", exemplar=True),
                Query(quantile(0.99, c.UPDATE_LATENCY), "p99"),
            ),
            limits=(1, 2.5),
            width=12,
            height=9,
        ),
        Panel(
            "Updates by type",
            "What comes in; messages and presses follow the hours of the day, and a sudden peak is a flood.",
            "stacked",
            "reqps",
            (Query(rate(c.UPDATES, by="update_type"), "{{update_type}}"),),
        ),
        Panel(
            "Updates by outcome",
            "How updates end; `unhandled` means that nothing in the bot answers this kind of message.",
            "stacked",
            "reqps",
            (Query(rate(c.UPDATES, by="outcome"), "{{outcome}}"),),
            alert="HighErrorRate",
        ),
        Panel(
            "Failed updates by exception",
            "Failures by the class of the exception; normal is none, and a class that is new came with the last change.",
            "stacked",
            "reqps",
            (
                Query(
                    or_none(top(10, rate(c.UPDATE_ERRORS, by="error_type")), "error_type"), "{{error_type}}"
                ),
            ),
            alert="HighErrorRate",
        ),
        Panel(
            "Slowest handlers",
            "95 of 100 calls of each handler are done within this; the ten slowest.",
            "graph",
            "s",
            (Query(top(10, quantile(0.95, c.HANDLER_LATENCY, by="handler")), "{{handler}}"),),
            limits=(1, 2.5),
        ),
        Panel(
            "Busiest handlers",
            "Calls of each handler; the ten busiest.",
            "stacked",
            "reqps",
            (Query(top(10, rate(c.HANDLER_LATENCY, by="handler")), "{{handler}}"),),
        ),
        Panel(
            "Commands",
            "Commands that came in on this screen's time; `other` is what people invent.",
            "bars",
            "none",
            (Query(count(c.COMMAND_USAGE, by="command"), "{{command}}"),),
        ),
    ),
)

_PRESSES = Row(
    "Buttons",
    (
        Panel(
            "Presses by button",
            "Which buttons people press; the ten busiest.",
            "stacked",
            "reqps",
            (Query(or_none(top(10, rate(c.CALLBACKS, by="button")), "button"), "{{button}}"),),
            width=6,
        ),
        Panel(
            "Presses by reason",
            "What became of presses; `STATE_MISMATCH` is a button of an old message, `UNKNOWN_CALLBACK` one of an old release.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.CALLBACKS, by="reason"), "reason"), "{{reason}}"),),
            width=6,
        ),
        Panel(
            "Rejected presses by button and reason",
            "Presses that had no effect, on this screen's time; a button that leads here is broken or misleading.",
            "bars",
            "none",
            (
                Query(
                    or_none(top(10, count(c.CALLBACKS, 'reason!="SUCCESS"', by="button, reason")), "button"),
                    "{{button}} {{reason}}",
                ),
            ),
            width=6,
        ),
        Panel(
            "Admins' doors tried by others",
            "Commands and buttons of admins that somebody else tried, on this screen's time; many mean that somebody probes.",
            "bars",
            "none",
            (Query(or_none(count(c.ADMIN_DENIED, by="via"), "via"), "{{via}}"),),
            width=6,
        ),
    ),
)

_LEASE = Row(
    "Lease",
    (
        Panel(
            "Who is ACTIVE",
            "1 is ACTIVE and 0 waits; the sum is always 1 but for the seconds of a take-over.",
            "graph",
            "none",
            (Query(total(c.LEADER_STATE, by="instance"), "{{instance}}"),),
            width=6,
            alert="TwoLeaders",
        ),
        Panel(
            "Age of the heartbeat",
            "Seconds since the ACTIVE instance's last heartbeat; normal is under 2, and from 4 on another one takes over.",
            "graph",
            "s",
            (Query(highest(c.LOCK_HEARTBEAT_AGE), "age"),),
            limits=(4, DEFAULTS.alert_heartbeat_age_threshold),
            width=6,
            alert="HeartbeatStale",
        ),
        Panel(
            "Epoch",
            "The lease's fencing token: a step is a take-over.",
            "graph",
            "none",
            (Query(highest(c.LOCK_EPOCH), "epoch"),),
            width=6,
        ),
        Panel(
            "Take-overs",
            "Leases taken from an instance that had fallen silent, on this screen's time; one without a crash is worth a look.",
            "bars",
            "none",
            (Query(or_none(count(c.LOCK_TAKEOVERS)), "take-overs"),),
            limits=(1,),
            width=6,
        ),
    ),
)

BOARD = Board(
    "updates",
    "Tracegram: updates",
    "From Telegram's door through inbox and handlers to the calls that answer.",
    (_PROCESSING, DOOR, _PRESSES, CALLS, _LEASE),
)
