"""The dashboard of the processes: event loop, CPU, memory, descriptors, threads and the database's connections."""

from __future__ import annotations

from app.config.alerting import DEFAULTS
from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Board, Panel, Query, Row
from deploy.grafana.source.promql import highest, lowest, or_none, quantile, rate, total

_PROCESSES = Row(
    "Processes",
    (
        Panel(
            "Up",
            "1 for each process that answered the last scrape; 0 is down, or does not get to answering.",
            "graph",
            "none",
            (Query('up{job="tracegram",instance=~"$instance"}', "{{instance}}"),),
            most=1,
            alert="InstanceDown",
            width=6,
        ),
        Panel(
            "Health by part",
            "1 while a part of a process is well, as its /health says; 0 names the part to look at.",
            "graph",
            "none",
            (Query(lowest(c.HEALTH_STATE, by="instance, part"), "{{instance}} {{part}}"),),
            most=1,
            alert="HealthFailing",
            width=6,
        ),
        Panel(
            "Uptime",
            "Seconds since each process started; a fall to zero that nobody ordered is a crash.",
            "graph",
            "s",
            (Query(highest(c.UPTIME, by="instance"), "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Event loop: late by",
            "How much too late the event loop comes back, 50 and 99 of 100 times; above half a second something blocks it.",
            "graph",
            "s",
            (
                Query(quantile(0.5, c.EVENT_LOOP_LAG, by="instance"), "p50 {{instance}}"),
                Query(quantile(0.99, c.EVENT_LOOP_LAG, by="instance"), "p99 {{instance}}"),
            ),
            limits=(0.1, DEFAULTS.alert_loop_lag_threshold),
            alert="EventLoopLag",
            width=6,
        ),
        Panel(
            "CPU",
            "Cores that each process uses; a process of Python cannot use much more than one.",
            "graph",
            "none",
            (Query(rate(c.PROCESS_CPU, by="instance"), "{{instance}}"),),
            limits=(0.6, 0.9),
            width=6,
        ),
        Panel(
            "Memory",
            "Memory of each process that is in RAM; normal is 100 to 300 MB, and a line that only rises is a leak.",
            "graph",
            "bytes",
            (Query(highest(c.PROCESS_MEMORY, by="instance"), "{{instance}}"),),
            limits=(400_000_000, 480_000_000),
            width=6,
        ),
        Panel(
            "Open files",
            "File descriptors of each process; a line that only rises is a leak of connections or files.",
            "graph",
            "none",
            (Query(highest(c.PROCESS_FILES, by="instance"), "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Threads",
            "Threads of each process; a number that stays high means that calls in threads do not come back.",
            "graph",
            "none",
            (Query(highest(c.PROCESS_THREADS, by="instance"), "{{instance}}"),),
            width=6,
        ),
    ),
)

_USED = total(c.DB_POOL_CONNECTIONS, 'state="used"', by="instance")

_DATABASE = Row(
    "Database",
    (
        Panel(
            "Connections by state",
            "Places of the connection pools; when none is idle or unopened, everything waits for one.",
            "stacked",
            "none",
            (Query(total(c.DB_POOL_CONNECTIONS, by="state"), "{{state}}"),),
            alert="PoolNearLimit",
            width=6,
        ),
        Panel(
            "Use of the pool",
            "Share of each process's connections that is in use; above 90 % updates begin to wait for the database.",
            "graph",
            "percentunit",
            (Query(f"{_USED} / {total(c.DB_POOL_CONNECTIONS, by='instance')}", "{{instance}}"),),
            limits=(0.7, DEFAULTS.alert_pool_usage_threshold / 100),
            most=1,
            alert="PoolNearLimit",
            width=6,
        ),
        Panel(
            "Wait for a connection",
            "50, 95 and 99 of 100 connections are had within this; normal is a few milliseconds.",
            "graph",
            "s",
            tuple(
                Query(quantile(q, c.DB_POOL_WAIT), name)
                for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            limits=(0.1, DEFAULTS.alert_pool_wait_threshold),
            alert="DatabaseIssues",
            width=6,
        ),
        Panel(
            "Failures by part",
            "Failures of updates and jobs by the part that failed: `database` and `lease` belong to this dashboard.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.ERRORS, by="category"), "category"), "{{category}}"),),
            alert="DatabaseIssues",
            width=6,
        ),
    ),
)

BOARD = Board(
    "system",
    "Tracegram: system",
    "The processes and the database: what is short, and what leaks.",
    (_PROCESSES, _DATABASE),
)
