"""The dashboard of downloads: how many succeed, how long they take, and what waits."""

from __future__ import annotations

from app.config.alerting import DEFAULTS
from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Board, Panel, Query, Row, stat
from deploy.grafana.source.promql import (
    buckets,
    count,
    highest,
    or_none,
    quantile,
    rate,
)

_OURS = 'error_type=~"DOWNSTREAM_ERROR|DOWNSTREAM_TIMEOUT|INTERNAL_ERROR"'
_DELIVERED = f"({or_none(rate(c.DOWNLOAD_SUCCESS, window='15m'))})"
_GIVEN_UP = f"({or_none(rate(c.DOWNLOAD_FAILURE, window='15m'))})"
_RETRIED = f"({or_none(rate(c.JOB_RETRIES, window='15m'))})"
_ENDED = f"({or_none(rate(c.JOBS, window='15m'))})"

_RESULT = Row(
    "Result",
    (
        stat(
            "Success",
            "Share of the downloads of 15 minutes that were delivered; bad links count against it, so look at the reasons.",
            "percentunit",
            f"{_DELIVERED} / ({_DELIVERED} + {_GIVEN_UP})",
            limits=(0.5, 0.9),
            falling=True,
            alert="DownloaderDown",
            width=6,
        ),
        stat(
            "Waiting",
            "Jobs that wait for a worker; a number that only grows needs more workers.",
            "none",
            highest(c.QUEUE_DEPTH),
            limits=(20, DEFAULTS.alert_queue_depth_threshold),
            alert="QueueBackup",
            width=6,
        ),
        stat(
            "Waits longest",
            "Seconds since the job that waits longest was due; normal is a few.",
            "s",
            highest(c.QUEUE_OLDEST_AGE),
            limits=(60, 300),
            alert="QueueBackup",
            width=6,
        ),
        stat(
            "Retried",
            "Share of the attempts of 15 minutes that were put back for another one; high when a site or the network is bad.",
            "percentunit",
            f"{_RETRIED} / ({_RETRIED} + {_ENDED})",
            limits=(0.1, DEFAULTS.alert_retry_rate_threshold / 100),
            alert="HighRetryRate",
            width=6,
        ),
        Panel(
            "Downloads",
            "Downloads delivered and given up, a second; delivered ones follow what is asked for.",
            "stacked",
            "reqps",
            (
                Query(or_none(rate(c.DOWNLOAD_SUCCESS)), "delivered"),
                Query(or_none(rate(c.DOWNLOAD_FAILURE)), "given up"),
            ),
        ),
        Panel(
            "Given up by reason",
            "Why downloads ended without a file; `VALIDATION_FAILED` is a bad link, `DOWNSTREAM_ERROR` the site or the extractor.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.DOWNLOAD_FAILURE, by="error_type"), "error_type"), "{{error_type}}"),),
            alert="DownloaderDown",
        ),
        Panel(
            "Given up for our reasons",
            "Failures that no person caused, on this screen's time; normal is none.",
            "bars",
            "none",
            (
                Query(
                    or_none(count(c.DOWNLOAD_FAILURE, _OURS, by="error_type"), "error_type"), "{{error_type}}"
                ),
            ),
            limits=(1, 10),
            alert="DownloaderDown",
        ),
    ),
)

_TIME = Row(
    "Time",
    (
        Panel(
            "Time of downloads",
            "How long downloads with their conversions take; a dot is one of them, and a click on it opens its trace if it was kept.",
            "heatmap",
            "s",
            (Query(buckets(c.DOWNLOAD_DURATION), exemplar=True),),
            width=12,
        ),
        Panel(
            "Time of downloads: quantiles",
            "50 and 95 of 100 downloads are done within this; long media take long, all at once means a slow site or a full machine.",
            "graph",
            "s",
            (
                Query(quantile(0.5, c.DOWNLOAD_DURATION), "p50"),
                Query(quantile(0.95, c.DOWNLOAD_DURATION), "p95", exemplar=True),
            ),
            limits=(60, 300),
            width=12,
        ),
        Panel(
            "By format",
            "95 of 100 downloads of each format are done within this.",
            "graph",
            "s",
            (Query(quantile(0.95, c.DOWNLOAD_DURATION, by="format"), "{{format}}"),),
            width=12,
        ),
        Panel(
            "Wait for a worker",
            "How long jobs wait until a worker takes them; normal is under a second.",
            "graph",
            "s",
            (
                Query(quantile(0.5, c.QUEUE_WAIT), "p50"),
                Query(quantile(0.95, c.QUEUE_WAIT), "p95"),
            ),
            limits=(10, 60),
            width=12,
            alert="QueueBackup",
        ),
    ),
)

_QUEUE = Row(
    "Queue",
    (
        Panel(
            "Depth by priority",
            "Jobs that wait, in all processes; it falls back to zero when the workers keep up.",
            "graph",
            "none",
            (Query(highest(c.QUEUE_DEPTH, by="priority"), "{{priority}}"),),
            limits=(20, DEFAULTS.alert_queue_depth_threshold),
            alert="QueueBackup",
        ),
        Panel(
            "Ended by engine and outcome",
            "Jobs that ended; `failed` without a reason above is a bug.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.JOBS, by="engine, outcome"), "outcome"), "{{engine}} {{outcome}}"),),
        ),
        Panel(
            "Put back by engine",
            "Jobs put back for another attempt; a few are normal, since sites have their bad minutes.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.JOB_RETRIES, by="engine"), "engine"), "{{engine}}"),),
            alert="HighRetryRate",
        ),
        Panel(
            "Asked for by format and quality",
            "Downloads asked for, on this screen's time.",
            "bars",
            "none",
            (
                Query(
                    or_none(count(c.FORMAT_REQUESTS, by="format, quality"), "format"),
                    "{{format}} {{quality}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Delivered by format and quality",
            "Downloads delivered, on this screen's time; compare with what was asked for.",
            "bars",
            "none",
            (
                Query(
                    or_none(count(c.DOWNLOAD_SUCCESS, by="format, quality"), "format"),
                    "{{format}} {{quality}}",
                ),
            ),
            width=12,
        ),
    ),
)

BOARD = Board(
    "downloads",
    "Tracegram: downloads",
    "How many downloads succeed, how long they take, and what waits.",
    (_RESULT, _TIME, _QUEUE),
)
