"""The alerts on what watches the bot: its own export, Collector, Tempo, Loki, Prometheus and Alertmanager.

The metrics of those programs are theirs: their names were read from the versions of deploy/versions.yaml.
"""

from __future__ import annotations

from app.alerts.kinds import THREE_SCRAPES_S
from app.alerts.promql import bot, counted, grown
from app.alerts.rules import INSTANCE, PERCENT, Alert

_SIGNALS = ("spans", "log_records", "metric_points")


def alerts() -> tuple[Alert, ...]:
    """Every alert on the monitoring, the watchdog among them."""
    return (_WATCHDOG, *_telemetry(), *_down(), *_prometheus())


#: Fires always: what listens for it hears when Prometheus or Alertmanager is dead, who cannot tell of that themselves.
_WATCHDOG = Alert(
    "Watchdog",
    "info",
    "monitoring",
    "vector(1)",
    0,
    "Alerts get through",
    "Always firing. When it stops, Prometheus, Alertmanager or the way between them is broken.",
)


def _telemetry() -> tuple[Alert, ...]:
    # The Collector's counters are there only after their first event.
    failed = [
        grown(f'otelcol_exporter_{how}_failed_{signal}_total{{job="collector"}}', "10m", "exporter")
        for how in ("send", "enqueue")
        for signal in _SIGNALS
    ]
    queue = 'otelcol_exporter_queue_{}{{job="collector"}}'
    return (
        Alert(
            "TelemetryDropped",
            "warning",
            "telemetry",
            # Metrics are cumulative, and rules read what is scraped: an export that fails loses nothing.
            counted(bot("bot_telemetry_dropped_total", 'signal!="metrics"'), 10, "instance, signal"),
            0,
            f"{INSTANCE} loses {{{{ $labels.signal }}}}",
            "In the last ten minutes a process dropped spans or log records that the Collector did not take.",
        ),
        Alert(
            "CollectorDropping",
            "warning",
            "telemetry",
            "\nor\n".join(failed),
            0,
            "The Collector loses data on its way to {{ $labels.exporter }}",
            "In the last ten minutes the Collector gave data up: a backend refused it for good, or a queue was full.",
        ),
        Alert(
            "CollectorQueueNearlyFull",
            "warning",
            "telemetry",
            f"max by (exporter) ({queue.format('size')} / {queue.format('capacity')}) > 0.8",
            300,
            f"The Collector's queue to {{{{ $labels.exporter }}}} is {PERCENT} full",
            "A sending queue of the Collector was more than 80 % full for five minutes.",
        ),
    )


def _down() -> tuple[Alert, ...]:
    parts: tuple[tuple[str, str, str], ...] = (
        (
            "Collector",
            "collector",
            "traces and logs wait in the bots, then are lost; their metrics are scraped",
        ),
        ("Tempo", "tempo", "traces wait in the Collector's queue on disk"),
        ("Loki", "loki", "logs wait in the Collector's queue on disk"),
        ("Alertmanager", "alertmanager", "alerts reach nobody; they show in Prometheus only"),
    )
    return tuple(
        Alert(
            f"{name}Down",
            "critical" if job == "alertmanager" else "warning",
            "monitoring",
            f'up{{job="{job}"}} == 0',
            THREE_SCRAPES_S,
            f"{name} does not answer Prometheus",
            f"{name} did not answer three scrapes. Meanwhile {what}.",
        )
        for name, job, what in parts
    )


def _prometheus() -> tuple[Alert, ...]:
    own = '{job="prometheus"}[5m]'
    hour = '{job="prometheus"}[1h]'
    storage = ("wal_corruptions", "wal_writes_failed", "compactions_failed", "head_truncations_failed")
    return (
        Alert(
            "NotificationsFailing",
            "warning",
            "monitoring",
            f"sum(rate(prometheus_notifications_errors_total{own})) > 0\n"
            f"or\nsum(rate(prometheus_notifications_dropped_total{own})) > 0",
            120,
            "Prometheus cannot hand alerts to Alertmanager",
            "For two minutes, alerts that Prometheus sent to Alertmanager failed or were dropped.",
        ),
        Alert(
            "AlertmanagerNotificationsFailing",
            "warning",
            "monitoring",
            'sum by (integration) (increase(alertmanager_notifications_failed_total{job="alertmanager"}[5m])) > 0',
            120,
            "Alertmanager cannot deliver by {{ $labels.integration }}",
            "Alertmanager failed to deliver messages in the last five minutes, and still does after two more.",
        ),
        Alert(
            "RuleEvaluationFailing",
            "warning",
            "monitoring",
            f"sum(increase(prometheus_rule_evaluation_failures_total{own})) > 0",
            0,
            "Rules of Prometheus cannot be evaluated",
            "In the last five minutes a rule failed: the alerts that need it are blind.",
        ),
        Alert(
            "PrometheusStorageFailing",
            "warning",
            "monitoring",
            "\nor\n".join(f"sum(increase(prometheus_tsdb_{what}_total{hour})) > 0" for what in storage),
            0,
            "Prometheus cannot write to its disk as it should",
            "In the last hour Prometheus' log of writes was damaged or could not be written, or its blocks could not be compacted.",
        ),
    )
