"""The dashboard of telemetry itself, from the bots through the Collector to Tempo, Loki and Prometheus.

The metrics of those programs are theirs: the names are those of the versions in deploy/versions.yaml.
"""

from __future__ import annotations

from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Board, Panel, Query, Row
from deploy.grafana.source.promql import count, or_none, rate, total

_SIGNALS = (("spans", "spans"), ("log_records", "log records"), ("metric_points", "metric points"))


def _collector(metric: str, signal: str, by: str = "") -> str:
    """A counter of the Collector as a rate; one that was never counted up is not there and counts as zero."""
    query = f'rate(otelcol_{metric}_{signal}_total{{job="collector"}}[$__rate_interval])'
    return or_none(f"sum by ({by}) ({query})", by) if by else or_none(f"sum({query})")


def _other(metric: str, job: str, by: str = "") -> str:
    query = f'rate({metric}{{job="{job}"}}[$__rate_interval])'
    return or_none(f"sum by ({by}) ({query})", by) if by else or_none(f"sum({query})")


def _each(metric: str, how: str = "") -> tuple[Query, ...]:
    return tuple(Query(_collector(metric, signal), f"{name}{how}") for signal, name in _SIGNALS)


_BOTS = Row(
    "The bots",
    (
        Panel(
            "Exported",
            "Spans and log records that the Collector took from the bots; it follows the updates.",
            "graph",
            "cps",
            (
                Query(rate(c.SPANS_EXPORTED), "spans"),
                Query(rate(c.LOGS_EXPORTED), "log records"),
            ),
        ),
        Panel(
            "Queues",
            "How full the bots' queues are; they fill while the Collector is away, and lose the oldest when full.",
            "graph",
            "percentunit",
            (
                Query(
                    f"{total(c.SPAN_QUEUE_SIZE, by='instance')} / {total(c.SPAN_QUEUE_CAPACITY, by='instance')}",
                    "spans {{instance}}",
                ),
                Query(
                    f"{total(c.LOG_QUEUE_SIZE, by='instance')} / {total(c.LOG_QUEUE_CAPACITY, by='instance')}",
                    "log records {{instance}}",
                ),
            ),
            limits=(0.5, 0.8),
            most=1,
            alert="TelemetryDropped",
        ),
        Panel(
            "Lost in the bots",
            "What the Collector never got, on this screen's time; normal is none, else it was away for too long.",
            "bars",
            "none",
            (Query(or_none(count(c.TELEMETRY_DROPPED, by="signal"), "signal"), "{{signal}}"),),
            limits=(1,),
            alert="TelemetryDropped",
        ),
    ),
)

_COLLECTOR = Row(
    "The Collector",
    (
        Panel(
            "Taken",
            "What the Collector took over OTLP; it is what the bots export.",
            "graph",
            "cps",
            _each("receiver_accepted"),
        ),
        Panel(
            "Refused",
            "What it refused, mostly because its memory is full; the bots try again, so a short time of it loses nothing.",
            "graph",
            "cps",
            _each("receiver_refused"),
            alert="CollectorDropping",
        ),
        Panel(
            "Handed on",
            "What each backend took; fewer spans than came in, since the sampling drops most ordinary traces.",
            "graph",
            "cps",
            tuple(
                Query(_collector("exporter_sent", signal, by="exporter"), f"{name} {{{{exporter}}}}")
                for signal, name in _SIGNALS
            ),
        ),
        Panel(
            "Given up",
            "What a backend refused for good, or what found the queue full; normal is none, and it is lost.",
            "graph",
            "cps",
            (*_each("exporter_send_failed", " refused"), *_each("exporter_enqueue_failed", ": queue full")),
            alert="CollectorDropping",
        ),
        Panel(
            "Queues on disk",
            "How full the queue to each backend is; it fills while the backend is away, and is sent when it is back.",
            "graph",
            "percentunit",
            (
                Query(
                    'max by (exporter) (otelcol_exporter_queue_size{job="collector"} '
                    '/ otelcol_exporter_queue_capacity{job="collector"})',
                    "{{exporter}}",
                ),
            ),
            limits=(0.5, 0.8),
            most=1,
            alert="CollectorQueueNearlyFull",
        ),
        Panel(
            "Memory",
            "Memory of the Collector; near its limit it refuses new data.",
            "graph",
            "bytes",
            (Query('max(otelcol_process_memory_rss_bytes{job="collector"})', "in RAM"),),
        ),
    ),
)

_SAMPLING = Row(
    "Sampling",
    (
        Panel(
            "Kept by policy",
            "Traces that each policy wants kept; `errors` and `rejections` keep all of theirs, `share` some of the rest.",
            "stacked",
            "cps",
            (
                Query(
                    "sum by (policy) (rate(otelcol_processor_tail_sampling_count_traces_sampled_total"
                    '{job="collector",decision="sampled"}[$__rate_interval]))',
                    "{{policy}}",
                ),
            ),
        ),
        Panel(
            "Kept and dropped",
            "Decisions about traces; what is dropped is still in the metrics, and its log lines are in Loki.",
            "stacked",
            "cps",
            (
                Query(
                    "sum by (decision) (rate(otelcol_processor_tail_sampling_global_count_traces_sampled_total"
                    '{job="collector"}[$__rate_interval]))',
                    "{{decision}}",
                ),
            ),
        ),
        Panel(
            "Decided too early",
            "Traces that had to make room before their decision; normal is none, else the sampling needs more memory.",
            "graph",
            "cps",
            (
                Query(
                    _other(
                        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total", "collector"
                    ),
                    "traces",
                ),
            ),
        ),
    ),
)

_BACKENDS = Row(
    "The backends",
    (
        Panel(
            "Up",
            "1 for each program that answered the last scrape.",
            "graph",
            "none",
            (Query('min by (job) (up{job=~"collector|tempo|loki|prometheus|alertmanager"})', "{{job}}"),),
            most=1,
            alert="CollectorDown",
        ),
        Panel(
            "Tempo: spans",
            "Spans that Tempo took, and those that it threw away; the second is none.",
            "graph",
            "cps",
            (
                Query(_other("tempo_distributor_spans_received_total", "tempo"), "taken"),
                Query(_other("tempo_discarded_spans_total", "tempo"), "thrown away"),
            ),
            alert="TempoDown",
        ),
        Panel(
            "Loki: lines",
            "Lines that Loki took, and those that it threw away; the second is none.",
            "graph",
            "cps",
            (
                Query(_other("loki_distributor_lines_received_total", "loki"), "taken"),
                Query(_other("loki_discarded_samples_total", "loki"), "thrown away"),
            ),
            alert="LokiDown",
        ),
        Panel(
            "Prometheus: series",
            "Series in memory; it grows with instances and their restarts, but not with users.",
            "graph",
            "none",
            (Query('max(prometheus_tsdb_head_series{job="prometheus"})', "series"),),
        ),
        Panel(
            "Prometheus: trouble",
            "Rules that could not be evaluated and alerts that could not be handed on; normal is none.",
            "graph",
            "cps",
            (
                Query(_other("prometheus_rule_evaluation_failures_total", "prometheus"), "rules"),
                Query(_other("prometheus_notifications_errors_total", "prometheus"), "alerts"),
            ),
            alert="RuleEvaluationFailing",
        ),
        Panel(
            "Alertmanager: messages",
            "Messages that Alertmanager delivered or tried to, and those that failed; the second is none.",
            "graph",
            "cps",
            (
                Query(_other("alertmanager_notifications_total", "alertmanager"), "all"),
                Query(_other("alertmanager_notifications_failed_total", "alertmanager"), "failed"),
            ),
            alert="AlertmanagerNotificationsFailing",
        ),
        Panel(
            "Service graph",
            "Calls between bot, worker, database and Telegram, as Tempo sees them in the kept traces.",
            "graph",
            "reqps",
            (
                Query(
                    or_none(
                        "sum by (client, server) (rate(traces_service_graph_request_total[$__rate_interval]))",
                        "client",
                    ),
                    "{{client}} to {{server}}",
                ),
            ),
            width=24,
        ),
    ),
)

BOARD = Board(
    "pipeline",
    "Tracegram: telemetry pipeline",
    "Whether what the bots tell arrives: bots, Collector, sampling, Tempo, Loki, Prometheus and Alertmanager.",
    (_BOTS, _COLLECTOR, _SAMPLING, _BACKENDS),
)
