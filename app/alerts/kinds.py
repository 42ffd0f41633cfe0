"""The alerts on the bot itself: updates, jobs, database and instances. Thresholds come from the settings.

Percentages become ratios here, since PromQL computes with ratios. What is alike on all instances is taken as a maximum.
"""

from __future__ import annotations

from app.alerts.promql import bot, counted, increased, quantile, summed
from app.alerts.rules import INSTANCE, PERCENT, SECONDS, VALUE, Alert, Recording
from app.config.alerting import Alerting

#: A target that misses so many seconds has missed three scrapes of 15.
THREE_SCRAPES_S = 45
#: A dead database is told first, and Alertmanager then keeps back what follows from it: so that waits longer.
_DATABASE_S = 30
#: Longer than the alerts on a part of an instance; the longest is that on the downloader, a minute.
_AFTER_ITS_PARTS_S = 75


def recordings() -> tuple[Recording, ...]:
    """What more than one rule or panel asks: shares and quantiles of the last five minutes."""
    failed = summed("bot_updates_total", 'outcome="error"', window="5m")
    updates = summed("bot_updates_total", window="5m")
    delivered = summed("bot_download_success_total", window="5m")
    given_up = summed("bot_download_failure_total", window="5m")
    # A counter is not there before its first event, so the sum of two needs one of them at zero.
    ended = f"(({delivered} or vector(0)) + ({given_up} or vector(0)))"
    webhook = "bot_webhook_latency_seconds"
    accepted = 'outcome!="refused"'
    retried = increased("bot_job_retries_total", window="15m")
    used = bot("bot_db_pool_connections", 'state="used"')
    finished = f"({increased('bot_jobs_total', window='15m')} or vector(0))"
    return (
        Recording("bot:available", f"max({bot('bot_leader_state')}) or vector(0)"),
        Recording("bot:update_error_ratio:rate5m", f"({failed} or {updates} * 0)\n/ {updates}"),
        Recording(
            "bot:update_latency_seconds:p95", quantile(0.95, "bot_update_latency_seconds_bucket", window="5m")
        ),
        *(
            Recording(
                f"bot:webhook_latency_seconds:p{q * 100:.0f}",
                quantile(q, f"{webhook}_bucket", accepted, window="5m"),
            )
            for q in (0.5, 0.95, 0.99)
        ),
        Recording("bot:download_success_ratio:rate5m", f"({delivered} or vector(0))\n/ {ended}"),
        Recording(
            "bot:download_duration_seconds:p95",
            quantile(0.95, "bot_download_duration_seconds_bucket", window="5m"),
        ),
        Recording("bot:job_retry_ratio:increase15m", f"{retried}\n/ ({retried} + {finished})"),
        Recording("bot:queue_depth:max", f"max(sum by (instance) ({bot('bot_queue_depth')}))"),
        Recording(
            "bot:db_pool_usage:ratio",
            f"sum by (instance) ({used})\n/ sum by (instance) ({bot('bot_db_pool_connections')})",
        ),
    )


def alerts(thresholds: Alerting) -> tuple[Alert, ...]:
    """Every alert on the bot."""
    return (*_updates(thresholds), *_jobs(thresholds), *_database(thresholds), *_instances(thresholds))


def _updates(t: Alerting) -> tuple[Alert, ...]:
    failures = increased("bot_updates_total", 'outcome="error"', window="10m")
    requests = increased("bot_webhook_latency_seconds_count", 'outcome!="refused"', window="5m")
    return (
        Alert(
            "HighErrorRate",
            "critical",
            "updates",
            f"bot:update_error_ratio:rate5m > {t.alert_error_rate_threshold / 100:g}\n"
            f"and {failures} > {t.alert_min_events}",
            60,
            f"{PERCENT} of the attempts at updates fail",
            f"More than {t.alert_error_rate_threshold:g} % of the attempts at updates of the last five minutes failed, "
            f"and more than {t.alert_min_events} in ten minutes.",
            "ALERT_ERROR_RATE_THRESHOLD",
        ),
        Alert(
            "SlowWebhook",
            "warning",
            "updates",
            f"bot:webhook_latency_seconds:p95 > {t.alert_webhook_latency_threshold:g}\n"
            f"and {requests} > {t.alert_min_events}",
            300,
            f"95 of 100 webhook calls are answered within {SECONDS} only",
            f"Of 100 webhook calls five or more took longer than {t.alert_webhook_latency_threshold:g} s to answer, for five minutes.",
            "ALERT_WEBHOOK_LATENCY_THRESHOLD",
        ),
        Alert(
            "InboxBackup",
            "warning",
            "updates",
            f"max({bot('bot_inbox_depth')}) > {t.alert_inbox_depth_threshold}",
            300,
            f"{VALUE} updates wait or run",
            f"More than {t.alert_inbox_depth_threshold} updates waited or ran for five minutes.",
            "ALERT_INBOX_DEPTH_THRESHOLD",
        ),
        Alert(
            "UpdatesSetAside",
            "warning",
            "updates",
            counted(bot("bot_updates_set_aside_total"), 10, "update_type"),
            0,
            "Updates of type {{ $labels.update_type }} were given up",
            "In the last ten minutes an update was set aside: after its last try, or because it cannot be read.",
        ),
        Alert(
            "EventLoopLag",
            "warning",
            "instances",
            f"{quantile(0.99, 'bot_event_loop_lag_seconds_bucket', window='5m', by='instance')}"
            f" > {t.alert_loop_lag_threshold:g}",
            300,
            f"The event loop of {INSTANCE} is late by {SECONDS}",
            f"The event loop came back more than {t.alert_loop_lag_threshold:g} s late, one time of 100, for five minutes.",
            "ALERT_LOOP_LAG_THRESHOLD",
        ),
    )


def _jobs(t: Alerting) -> tuple[Alert, ...]:
    ours = 'error_type=~"DOWNSTREAM_ERROR|DOWNSTREAM_TIMEOUT|INTERNAL_ERROR"'
    failures = increased("bot_download_failure_total", ours, window="15m")
    successes = increased("bot_download_success_total", window="15m")
    retries = increased("bot_job_retries_total", window="15m")
    downloader = bot("bot_health_state", 'part="downloader"')
    return (
        Alert(
            "QueueBackup",
            "warning",
            "jobs",
            f"bot:queue_depth:max > {t.alert_queue_depth_threshold}",
            300,
            f"{VALUE} jobs wait",
            f"More than {t.alert_queue_depth_threshold} jobs waited for five minutes.",
            "ALERT_QUEUE_DEPTH_THRESHOLD",
        ),
        Alert(
            "HighRetryRate",
            "warning",
            "jobs",
            f"bot:job_retry_ratio:increase15m > {t.alert_retry_rate_threshold / 100:g}\n"
            f"and {retries} > {t.alert_min_events}",
            300,
            f"{PERCENT} of the attempts at jobs end in another one",
            f"More than {t.alert_retry_rate_threshold:g} % of the attempts at jobs of the last 15 minutes were put back for "
            f"another one, and more than {t.alert_min_events}.",
            "ALERT_RETRY_RATE_THRESHOLD",
        ),
        Alert(
            "DownloaderDown",
            "critical",
            "jobs",
            f"min by (instance) ({downloader}) == 0\n"
            f"or\n({failures} > {t.alert_min_events} unless {successes} > 0)",
            60,
            "Downloads do not work{{ with $labels.instance }} on {{ . }}{{ end }}",
            f"yt-dlp or ffmpeg is missing, or more than {t.alert_min_events} downloads failed in 15 minutes and none worked.",
            "ALERT_MIN_EVENTS",
        ),
    )


def _database(t: Alerting) -> tuple[Alert, ...]:
    database = bot("bot_health_state", 'part="database"')
    errors = increased("bot_errors_total", 'category="database"', window="5m", by="instance")
    waits = quantile(0.95, "bot_db_pool_wait_seconds_bucket", window="5m", by="instance")
    return (
        Alert(
            "DatabaseIssues",
            "critical",
            "database",
            f"min by (instance) ({database}) == 0\n"
            f"or\n{errors} > {t.alert_min_events}\n"
            f"or\n{waits} > {t.alert_pool_wait_threshold:g}",
            _DATABASE_S,
            f"The database does not serve {INSTANCE} as it should",
            f"The database does not answer, more than {t.alert_min_events} updates failed for it in five minutes, or five of "
            f"100 connections were waited for longer than {t.alert_pool_wait_threshold:g} s.",
            "ALERT_POOL_WAIT_THRESHOLD",
        ),
        Alert(
            "PoolNearLimit",
            "warning",
            "database",
            f"bot:db_pool_usage:ratio > {t.alert_pool_usage_threshold / 100:g}",
            300,
            f"{PERCENT} of the connection pool of {INSTANCE} are in use",
            f"More than {t.alert_pool_usage_threshold:g} % of an instance's connection pool were in use for five minutes.",
            "ALERT_POOL_USAGE_THRESHOLD",
        ),
    )


def _instances(t: Alerting) -> tuple[Alert, ...]:
    age = bot("bot_lock_heartbeat_age_seconds")
    database = bot("bot_health_state", 'part="database"')
    return (
        Alert(
            "InstanceDown",
            "warning",
            "instances",
            f"{bot('up')} == 0",
            THREE_SCRAPES_S,
            f"{INSTANCE} does not answer Prometheus",
            "A bot or worker did not answer three scrapes. Whether the others do its work, NoLeader and QueueBackup say.",
        ),
        Alert(
            "HealthFailing",
            "critical",
            "instances",
            f"min by (instance) ({bot('bot_health_state')}) == 0",
            _AFTER_ITS_PARTS_S,
            f"/health of {INSTANCE} fails",
            "A part that /health asks was down for five scrapes: /health answers 503.",
        ),
        Alert(
            "NoLeader",
            "critical",
            "instances",
            # A leader stands down a moment before the database counts as dead, so this would be told first; and a database
            # that is only slow must not keep it back. Alertmanager can tell neither.
            f"bot:available == 0\nunless on ()\nmax({database}) == 0",
            30,
            "No instance is ACTIVE: nothing is processed",
            "No instance that Prometheus reaches was ACTIVE for 30 s, and it is not for a database that answers nobody; "
            "a take-over needs five at most.",
        ),
        Alert(
            "TwoLeaders",
            "critical",
            "instances",
            f"sum({bot('bot_leader_state')}) > 1",
            60,
            f"{VALUE} instances say that they are ACTIVE",
            "More than one instance was ACTIVE for a minute. Instances are scraped at different moments, so a hand-over may look like it for 15 s.",
        ),
        Alert(
            "HeartbeatStale",
            "critical",
            "instances",
            f"min({age}) > {t.alert_heartbeat_age_threshold:g}\nor\nabsent({age})",
            # After NoLeader, which keeps it back.
            THREE_SCRAPES_S,
            "The heartbeat of the lease is missing or old",
            f"No instance knows of a heartbeat of the last {t.alert_heartbeat_age_threshold:g} s, or none tells.",
            "ALERT_HEARTBEAT_AGE_THRESHOLD",
        ),
    )
