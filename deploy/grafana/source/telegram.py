"""The rows of the updates' dashboard about Telegram: the door that its updates come in by, and the calls that answer."""

from __future__ import annotations

from app.config.alerting import DEFAULTS
from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Panel, Query, Row
from deploy.grafana.source.promql import count, highest, or_none, quantile, rate, top

DOOR = Row(
    "Door and inbox",
    (
        Panel(
            "From sending to receipt",
            "How old updates are when they come in, in Telegram's whole seconds; after an outage it is high until all is caught up.",
            "graph",
            "s",
            (
                Query(quantile(0.5, c.RECEIVE_LAG), "p50"),
                Query(quantile(0.95, c.RECEIVE_LAG), "p95"),
            ),
            limits=(10, 60),
        ),
        Panel(
            "Inbox and what Telegram still holds",
            "Updates that wait or run, and those not delivered yet; both are near zero, and high where processing is too slow.",
            "graph",
            "none",
            (
                Query(highest(c.INBOX_DEPTH), "inbox"),
                Query(or_none(highest(c.PENDING_UPDATES)), "at Telegram"),
            ),
            limits=(40, DEFAULTS.alert_inbox_depth_threshold),
            alert="InboxBackup",
        ),
        Panel(
            "Webhook: time to answer",
            "50, 95 and 99 of 100 calls of Telegram are answered within this; the database's commit is most of it.",
            "graph",
            "s",
            tuple(
                Query(or_none(quantile(q, c.WEBHOOK_LATENCY, 'outcome!="refused"')), name)
                for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            limits=(0.8, DEFAULTS.alert_webhook_latency_threshold),
            alert="SlowWebhook",
        ),
        Panel(
            "Webhook: answers",
            "`refused` came without the secret and not from Telegram; `full` and `unavailable` are sent again by Telegram.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.WEBHOOK_LATENCY, by="outcome"), "outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Duplicates",
            "Updates that came more than once and took effect once; a few after a restart are normal.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.DUPLICATES, by="update_type"), "update_type"), "{{update_type}}"),),
        ),
        Panel(
            "Set aside",
            "Updates given up, after repeated failures or since they cannot be read, on this screen's time; each one deserves a look with /debug.",
            "bars",
            "none",
            (Query(or_none(count(c.SET_ASIDE, by="update_type"), "update_type"), "{{update_type}}"),),
            limits=(1,),
            alert="UpdatesSetAside",
        ),
    ),
)

CALLS = Row(
    "Calls to Telegram",
    (
        Panel(
            "Slowest methods",
            "95 of 100 attempts at each method are done within this; uploads take seconds, all others under one.",
            "graph",
            "s",
            (Query(top(10, quantile(0.95, c.API_DURATION, by="method")), "{{method}}", exemplar=True),),
            limits=(2.5, 10),
        ),
        Panel(
            "Calls by outcome",
            "How attempts end; `forbidden` are people who blocked the bot, `server_error` and `network_error` are Telegram's.",
            "stacked",
            "reqps",
            (Query(rate(c.API_DURATION, by="outcome"), "{{outcome}}"),),
        ),
        Panel(
            "429 answers",
            "Telegram's to our calls, and ours to its webhook when the inbox is full; normal is none.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.RATE_LIMIT_HITS, by="category"), "category"), "{{category}}"),),
        ),
        Panel(
            "Told to wait",
            "Seconds of waiting that Telegram asks for, per second, by method; normal is none, else the bot sends too fast.",
            "graph",
            "none",
            (Query(or_none(top(10, rate(c.API_RETRY_AFTER, by="method")), "method"), "{{method}}"),),
        ),
        Panel(
            "Waited before the next attempt",
            "95 of 100 calls that had to wait did so for no longer than this; zero when none had to.",
            "graph",
            "s",
            (
                Query(
                    or_none(top(10, quantile(0.95, c.API_THROTTLE_WAIT, by="method")), "method"), "{{method}}"
                ),
            ),
        ),
        Panel(
            "Slowest steps",
            "95 of 100 of each step are done within this, from all spans before the sampling; the ten slowest.",
            "graph",
            "s",
            (
                Query(
                    "topk(10, histogram_quantile(0.95, sum by (le, span_name) "
                    '(rate(traces_span_metrics_duration_seconds_bucket{service_name="tracegram"}[$__rate_interval]))))',
                    "{{span_name}}",
                ),
            ),
        ),
    ),
)
