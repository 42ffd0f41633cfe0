"""For each alert: series with which it fires, with what it then says, and series with which it just does not.

Series are in promtool's notation, a sample every 15 s: `0+3x40` grows by 3 forty times. The alerts on budgets have cases of
their own (`slo_cases.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.telemetry.catalogue import WEBHOOK_LATENCY, Metric

BOT = "bot-1:9464"
Labels = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One alert at one moment, `at`. `fires` has, for each that is to fire, the labels of its series and its summary."""

    alert: str
    series: dict[str, str]
    fires: list[tuple[Labels, str]] = field(default_factory=list)
    at: str = "10m"


def bot(metric: str, instance: str = BOT, **labels: str) -> str:
    """A series as it is scraped."""
    return _series(metric, {"job": "tracegram", "instance": instance, **labels})


def of(job: str, metric: str, **labels: str) -> str:
    """A series of a program of the stack."""
    return _series(metric, {"job": job, "instance": "x:1", **labels})


def _series(metric: str, labels: Labels) -> str:
    return metric + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def updates(outcome: str) -> str:
    """The counter of updates."""
    return bot("bot_updates_total", update_type="message", outcome=outcome)


def buckets(metric: str, every: str, *edges: tuple[str, str], **labels: str) -> dict[str, str]:
    """A histogram: the growth of its count, and of some of its buckets."""
    filled = {
        bot(f"{metric}_bucket", le=edge, **labels): growth for edge, growth in (*edges, ("+Inf", every))
    }
    return {**filled, bot(f"{metric}_count", **labels): every}


def measured(metric: Metric, growth: dict[float, int], **labels: str) -> dict[str, str]:
    """A histogram with the edges of the catalogue: for each value, how many there are more of with each scrape."""
    name = metric.prometheus
    edges = [
        (str(edge), f"0+{sum(n for value, n in growth.items() if value <= edge)}x60")
        for edge in metric.buckets or ()
    ]
    return buckets(name, f"0+{sum(growth.values())}x60", *edges, **labels)


def running(since: int) -> dict[str, str]:
    """A process that began so many seconds before."""
    return {bot("bot_uptime_seconds"): f"{since}+15x200"}


def health(**parts: str) -> dict[str, str]:
    """The gauge of the parts."""
    return {bot("bot_health_state", part=part): values for part, values in parts.items()}


HERE = {"instance": BOT}
AWAY = {"job": "tracegram", "instance": BOT}


def _aside(kind: str) -> str:
    return bot("bot_updates_set_aside_total", update_type=kind)


_UPDATES = [
    Case(
        "HighErrorRate",
        {updates("handled"): "0+90x60", updates("error"): "0+10x60"},
        [({}, "10% of the attempts at updates fail")],
    ),
    Case("HighErrorRate", {updates("handled"): "0+96x60", updates("error"): "0+4x60"}),
    # A quiet night: one update that fails in each of its ten tries.
    Case("HighErrorRate", {updates("handled"): "0+0x60", updates("error"): "0 1 2 3 4 5 6 7 8 9 10+0x50"}),
    # The same metrics by way of the Collector are not counted.
    Case(
        "HighErrorRate",
        {'bot_updates_total{job="otlp/tracegram",update_type="message",outcome="error"}': "0+100x60"},
    ),
    Case(
        "SlowWebhook",
        buckets(
            "bot_webhook_latency_seconds",
            "0+100x60",
            ("0.8", "0+50x60"),
            ("2.0", "0+100x60"),
            outcome="stored",
        ),
        [({}, "95 of 100 webhook calls are answered within 1.88s only")],
    ),
    Case(
        "SlowWebhook",
        buckets(
            "bot_webhook_latency_seconds",
            "0+100x60",
            ("0.8", "0+96x60"),
            ("2.0", "0+100x60"),
            outcome="stored",
        ),
    ),
    # The threshold is an edge of the histogram: nothing is guessed between 0.8 and 2 s.
    Case("SlowWebhook", measured(WEBHOOK_LATENCY, {0.05: 90, 0.9: 10}, outcome="stored")),
    Case(
        "SlowWebhook",
        measured(WEBHOOK_LATENCY, {0.05: 94, 1.1: 6}, outcome="stored"),
        [({}, "95 of 100 webhook calls are answered within 1.167s only")],
    ),
    # Strangers without the secret may be as slow as they like.
    Case(
        "SlowWebhook",
        buckets(
            "bot_webhook_latency_seconds",
            "0+100x60",
            ("0.8", "0+0x60"),
            ("2.0", "0+100x60"),
            outcome="refused",
        ),
    ),
    Case("InboxBackup", {bot("bot_inbox_depth"): "81+0x60"}, [({}, "81 updates wait or run")]),
    Case("InboxBackup", {bot("bot_inbox_depth"): "80+0x60", bot("bot_inbox_depth", "bot-2:9464"): "80+0x60"}),
    Case(
        "UpdatesSetAside",
        {_aside("callback_query"): "0x30 1+0x100", **running(3600)},
        [({"update_type": "callback_query"}, "Updates of type callback_query were given up")],
    ),
    # A process that has just started may have given an update up before the first scrape.
    Case(
        "UpdatesSetAside",
        {_aside("message"): "_x20 1+0x100", bot("bot_uptime_seconds"): "_x20 9+15x100"},
        [({"update_type": "message"}, "Updates of type message were given up")],
    ),
    Case("UpdatesSetAside", {_aside("message"): "3+0x100", **running(0)}, at="20m"),
    # Prometheus did not reach it for a quarter of an hour: what is old stays old.
    Case("UpdatesSetAside", {_aside("message"): "3x20 _x60 3x20", **running(3600)}, at="21m"),
    Case(
        "EventLoopLag",
        buckets("bot_event_loop_lag_seconds", "0+100x60", ("0.5", "0+98x60"), ("1.0", "0+100x60")),
        [(HERE, f"The event loop of {BOT} is late by 750ms")],
    ),
    Case(
        "EventLoopLag",
        buckets("bot_event_loop_lag_seconds", "0+100x60", ("0.5", "0+100x60"), ("1.0", "0+100x60")),
    ),
]

_DONE = bot("bot_jobs_total", engine="yt-dlp", outcome="done")
_RETRIED = bot("bot_job_retries_total", engine="yt-dlp")
_DELIVERED = bot("bot_download_success_total", format="mp3", quality="192k")


def _lost(reason: str) -> str:
    return bot("bot_download_failure_total", format="mp3", error_type=reason)


_JOBS = [
    Case("QueueBackup", {bot("bot_queue_depth", priority="normal"): "51+0x60"}, [({}, "51 jobs wait")]),
    # Two instances tell of one queue.
    Case(
        "QueueBackup",
        {bot("bot_queue_depth", name, priority="normal"): "50+0x60" for name in (BOT, "bot-2:9464")},
    ),
    Case(
        "HighRetryRate",
        {_DONE: "0+6x60", _RETRIED: "0+4x60"},
        [({}, "40% of the attempts at jobs end in another one")],
        "15m",
    ),
    Case("HighRetryRate", {_DONE: "0+8x60", _RETRIED: "0+2x60"}, at="15m"),
    Case("HighRetryRate", {_DONE: "0+0x60", _RETRIED: "0 1 2 3 4 5+0x60"}, at="15m"),
    Case(
        "DownloaderDown",
        health(downloader="1x8 0x40", database="1x60"),
        [(HERE, f"Downloads do not work on {BOT}")],
    ),
    Case(
        "DownloaderDown",
        {_lost("DOWNSTREAM_ERROR"): "0+1x60", **health(downloader="1x60")},
        [({}, "Downloads do not work")],
    ),
    Case("DownloaderDown", {_lost("DOWNSTREAM_ERROR"): "0+1x60", _DELIVERED: "0+1x60"}),
    # What people ask wrongly says nothing about the downloader.
    Case("DownloaderDown", {_lost("VALIDATION_FAILED"): "0+9x60", **health(downloader="1x60")}),
]

_SERVED_BADLY = f"The database does not serve {BOT} as it should"

_DATABASE = [
    Case("DatabaseIssues", health(database="1x8 0x40"), [(HERE, _SERVED_BADLY)]),
    Case("DatabaseIssues", {bot("bot_errors_total", category="database"): "0+1x60"}, [(HERE, _SERVED_BADLY)]),
    Case(
        "DatabaseIssues",
        buckets("bot_db_pool_wait_seconds", "0+100x60", ("1.0", "0+90x60"), ("5.0", "0+100x60")),
        [(HERE, _SERVED_BADLY)],
    ),
    Case(
        "DatabaseIssues",
        {
            **health(database="1x60"),
            bot("bot_errors_total", category="database"): "0 5 10+0x60",
            bot("bot_errors_total", category="telegram"): "0+9x60",
            **buckets("bot_db_pool_wait_seconds", "0+100x60", ("1.0", "0+96x60"), ("5.0", "0+100x60")),
        },
    ),
    Case(
        "PoolNearLimit",
        {
            bot("bot_db_pool_connections", state="used"): "19+0x60",
            bot("bot_db_pool_connections", state="idle"): "1+0x60",
            bot("bot_db_pool_connections", state="unopened"): "0+0x60",
        },
        [(HERE, f"95% of the connection pool of {BOT} are in use")],
    ),
    Case(
        "PoolNearLimit",
        {
            bot("bot_db_pool_connections", state="used"): "18+0x60",
            bot("bot_db_pool_connections", state="idle"): "2+0x60",
            bot("bot_db_pool_connections", state="unopened"): "0+0x60",
        },
    ),
]

_LEADER, _OTHER = bot("bot_leader_state"), bot("bot_leader_state", "bot-2:9464")
_AGE = bot("bot_lock_heartbeat_age_seconds")

_INSTANCES = [
    Case("InstanceDown", {bot("up"): "1x8 0x40"}, [(AWAY, f"{BOT} does not answer Prometheus")]),
    # Two scrapes missed.
    Case("InstanceDown", {bot("up"): "1x36 0 0 1x40"}),
    Case("HealthFailing", health(database="1x60", updates="1x8 0x40"), [(HERE, f"/health of {BOT} fails")]),
    Case("HealthFailing", health(database="1x34 0 0 0 0 1x40", updates="1x60")),
    Case(
        "NoLeader", {_LEADER: "0x60", _OTHER: "0x60"}, [({}, "No instance is ACTIVE: nothing is processed")]
    ),
    Case(
        "NoLeader", {bot("bot_uptime_seconds"): "_x60"}, [({}, "No instance is ACTIVE: nothing is processed")]
    ),
    # A database that answers nobody is an alert of its own; one that answers a worker is no reason that no bot is ACTIVE.
    Case("NoLeader", {_LEADER: "0x60", **health(database="0x60")}),
    Case(
        "NoLeader",
        {
            _LEADER: "0x60",
            **health(database="0x60"),
            bot("bot_health_state", "worker:9464", part="database"): "1x60",
        },
        [({}, "No instance is ACTIVE: nothing is processed")],
    ),
    # A take-over between two scrapes.
    Case("NoLeader", {_LEADER: "1x38 0x20", _OTHER: "0x39 1x20"}),
    Case("TwoLeaders", {_LEADER: "1x60", _OTHER: "0x8 1x40"}, [({}, "2 instances say that they are ACTIVE")]),
    # A hand-over, of which one is scraped before and the other one after.
    Case("TwoLeaders", {_LEADER: "1x40 0x20", _OTHER: "0x39 1x20"}),
    Case(
        "HeartbeatStale",
        {_AGE: "1x8 5+15x40"},
        [({}, "The heartbeat of the lease is missing or old")],
    ),
    Case(
        "HeartbeatStale",
        {bot("bot_uptime_seconds"): "1x60"},
        [({"job": "tracegram"}, "The heartbeat of the lease is missing or old")],
    ),
    # One instance is cut off from the database and knows of no heartbeat; the other one knows better.
    Case("HeartbeatStale", {_AGE: "5+15x60", bot("bot_lock_heartbeat_age_seconds", "bot-2:9464"): "44x60"}),
]

_QUEUE, _ROOM = "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity"
_TEMPO = {"exporter": "otlp_http/tempo"}


def _down(job: str, name: str) -> list[Case]:
    labels = {"job": job, "instance": "x:1"}
    return [
        Case(f"{name}Down", {of(job, "up"): "1x8 0x40"}, [(labels, f"{name} does not answer Prometheus")]),
        Case(f"{name}Down", {of(job, "up"): "1x36 0 0 1x40"}),
    ]


_TELEMETRY = [
    Case("Watchdog", {bot("up"): "1x60"}, [({}, "Alerts get through")]),
    Case(
        "TelemetryDropped",
        {bot("bot_telemetry_dropped_total", signal="spans"): "0x20 40+0x60", **running(3600)},
        [({**HERE, "signal": "spans"}, f"{BOT} loses spans")],
    ),
    Case(
        "TelemetryDropped",
        {
            bot("bot_telemetry_dropped_total", signal="spans"): "_x20 40+0x60",
            bot("bot_uptime_seconds"): "_x20 9+15x60",
        },
        [({**HERE, "signal": "spans"}, f"{BOT} loses spans")],
    ),
    Case(
        "TelemetryDropped",
        {bot("bot_telemetry_dropped_total", signal="spans"): "40x20 _x60 40x20", **running(3600)},
        at="21m",
    ),
    # The Collector was started again: two exports of metrics failed, and the next one holds what they held.
    Case(
        "TelemetryDropped",
        {
            bot("bot_telemetry_dropped_total", signal="metrics"): "0x30 1 2+0x60",
            bot("bot_telemetry_dropped_total", signal="spans"): "0x100",
        },
    ),
    Case(
        "TelemetryDropped",
        {bot("bot_telemetry_dropped_total", signal="logs"): "0x30 1+0x60"},
        [({**HERE, "signal": "logs"}, f"{BOT} loses logs")],
    ),
    Case(
        "CollectorDropping",
        {of("collector", "otelcol_exporter_send_failed_spans_total", **_TEMPO): "_x20 7+0x60"},
        [(_TEMPO, "The Collector loses data on its way to otlp_http/tempo")],
    ),
    Case(
        "CollectorDropping",
        {
            of(
                "collector", "otelcol_exporter_enqueue_failed_log_records_total", exporter="otlp_http/loki"
            ): "0+5x60"
        },
        [({"exporter": "otlp_http/loki"}, "The Collector loses data on its way to otlp_http/loki")],
    ),
    Case(
        "CollectorDropping",
        {of("collector", "otelcol_exporter_send_failed_metric_points_total", **_TEMPO): "7+0x100"},
        at="20m",
    ),
    Case(
        "CollectorQueueNearlyFull",
        {
            of("collector", _QUEUE, data_type="traces", **_TEMPO): "90+0x60",
            of("collector", _ROOM, data_type="traces", **_TEMPO): "100+0x60",
        },
        [(_TEMPO, "The Collector's queue to otlp_http/tempo is 90% full")],
    ),
    Case(
        "CollectorQueueNearlyFull",
        {
            of("collector", _QUEUE, data_type="traces", **_TEMPO): "80+0x60",
            of("collector", _ROOM, data_type="traces", **_TEMPO): "100+0x60",
        },
    ),
    *_down("collector", "Collector"),
    *_down("tempo", "Tempo"),
    *_down("loki", "Loki"),
    *_down("alertmanager", "Alertmanager"),
]

_WAL = of("prometheus", "prometheus_tsdb_wal_corruptions_total")

_MONITORING = [
    Case(
        "NotificationsFailing",
        {of("prometheus", "prometheus_notifications_errors_total", alertmanager="http://x"): "0+1x60"},
        [({}, "Prometheus cannot hand alerts to Alertmanager")],
    ),
    Case(
        "NotificationsFailing",
        {of("prometheus", "prometheus_notifications_dropped_total"): "0+1x60"},
        [({}, "Prometheus cannot hand alerts to Alertmanager")],
    ),
    Case("NotificationsFailing", {of("prometheus", "prometheus_notifications_errors_total"): "5+0x60"}),
    Case(
        "AlertmanagerNotificationsFailing",
        {of("alertmanager", "alertmanager_notifications_failed_total", integration="telegram"): "0+1x60"},
        [({"integration": "telegram"}, "Alertmanager cannot deliver by telegram")],
    ),
    Case(
        "AlertmanagerNotificationsFailing",
        {of("alertmanager", "alertmanager_notifications_failed_total", integration="telegram"): "5+0x60"},
    ),
    Case(
        "RuleEvaluationFailing",
        {of("prometheus", "prometheus_rule_evaluation_failures_total", rule_group="a"): "0+1x60"},
        [({}, "Rules of Prometheus cannot be evaluated")],
    ),
    Case("RuleEvaluationFailing", {of("prometheus", "prometheus_rule_evaluation_failures_total"): "5+0x60"}),
    Case(
        "PrometheusStorageFailing",
        {_WAL: "0x20 1x40"},
        [({}, "Prometheus cannot write to its disk as it should")],
    ),
    Case("PrometheusStorageFailing", {_WAL: "1+0x60"}),
]

CASES = [*_UPDATES, *_JOBS, *_DATABASE, *_INSTANCES, *_TELEMETRY, *_MONITORING]
