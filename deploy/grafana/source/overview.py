"""The dashboard to open first: is the bot well, are the objectives kept, and what goes wrong at the moment.

Objectives, burn rates and budgets are recorded by the rules of Prometheus (deploy/prometheus/rules).
"""

from __future__ import annotations

from app.config.alerting import DEFAULTS
from app.telemetry import catalogue as c
from deploy.grafana.source.panel import Board, Panel, Query, Row, stat
from deploy.grafana.source.promql import highest, or_none, quantile, rate

_ERROR = 'outcome="error"'

_TROUBLE = (
    '{service_name="tracegram"} | severity_number >= 13 '
    '| line_format "{{__line__}} {{.reason_code}} {{.error_type}}"'
)

_NOW = Row(
    "Now",
    (
        stat(
            "Instances up",
            "Bots and workers that answered the last scrape; fewer than you run means that one is gone.",
            "none",
            'sum(up{job="tracegram",instance=~"$instance"}) or on() vector(0)',
            limits=(1,),
            falling=True,
            alert="InstanceDown",
        ),
        stat(
            "ACTIVE",
            "Exactly one instance processes updates: with none the bot is silent, with two something is badly wrong.",
            "none",
            f'sum({c.LEADER_STATE.prometheus}{{job="tracegram"}}) or on() vector(0)',
            limits=(1,),
            falling=True,
            alert="NoLeader",
            wrong=(("0", "nobody"), ("2", "two!")),
        ),
        stat(
            "Alerts firing",
            "Alerts that fire now, without the one that always does; look at each one's runbook.",
            "none",
            'count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or on() vector(0)',
            limits=(1,),
        ),
        stat(
            "Updates per second",
            "Updates processed, each attempt; a sudden zero in the day means that nothing comes in any more.",
            "reqps",
            rate(c.UPDATES),
        ),
        stat(
            "Failed updates",
            "Share of the attempts at updates that failed; normal is under 1 %, and the traces below show which ones.",
            "percentunit",
            f"({or_none(rate(c.UPDATES, _ERROR))}) / {rate(c.UPDATES)}",
            limits=(0.01, DEFAULTS.alert_error_rate_threshold / 100),
            alert="HighErrorRate",
        ),
        stat(
            "Slowest 5 % of updates",
            "95 of 100 updates are done within this; what takes longer shows its steps in its trace.",
            "s",
            quantile(0.95, c.UPDATE_LATENCY),
            limits=(1, 2.5),
        ),
        stat(
            "Users now",
            "Users seen in the last five minutes, by any instance.",
            "none",
            highest(c.ACTIVE_USERS),
        ),
        stat(
            "Users of a day",
            "Users seen in the last 24 hours, by any instance.",
            "none",
            highest(c.DAILY_ACTIVE_USERS),
        ),
        stat(
            "Users of a month",
            "Users seen in the last 30 days, by any instance.",
            "none",
            highest(c.MONTHLY_ACTIVE_USERS),
        ),
        stat(
            "Stickiness",
            "Users of a day as a share of those of a month: how often people come back.",
            "percentunit",
            f"{highest(c.DAILY_ACTIVE_USERS)} / clamp_min({highest(c.MONTHLY_ACTIVE_USERS)}, 1)",
        ),
        stat(
            "Jobs waiting",
            "Jobs that wait for a worker; a number that only grows needs more workers or a look at the downloads.",
            "none",
            highest(c.QUEUE_DEPTH),
            limits=(20, DEFAULTS.alert_queue_depth_threshold),
            alert="QueueBackup",
        ),
        stat(
            "Inbox",
            "Updates that wait or run; normal is near zero, and what stays high is too slow or stuck.",
            "none",
            highest(c.INBOX_DEPTH),
            limits=(40, DEFAULTS.alert_inbox_depth_threshold),
            alert="InboxBackup",
        ),
    ),
)

_OBJECTIVES = Row(
    "Objectives",
    (
        Panel(
            "Budget left of 30 days",
            "What is left of each objective's error budget; at zero the objective is missed, so slow down with changes.",
            "bars",
            "percentunit",
            (Query("slo:budget_remaining:ratio", "{{slo}}"),),
            limits=(0.0, 0.25),
            falling=True,
            most=1,
        ),
        Panel(
            "Fast burn: last hour",
            "How many times as fast as it may each budget burnt in the last hour; from 14.4 on, or 1.8 for the median, somebody is woken up.",
            "graph",
            "none",
            (Query("slo:burn_rate:1h", "{{slo}}"),),
            limits=(1, 14.4),
            alert="ErrorBudgetBurn",
        ),
        Panel(
            "Burn: last six hours",
            "The same over six hours, where 6 is the limit, or 1.6 for the median; it forgets a short outburst and sees a lasting one.",
            "graph",
            "none",
            (Query("slo:burn_rate:6h", "{{slo}}"),),
            limits=(1, 6),
            alert="ErrorBudgetBurn",
        ),
        Panel(
            "Slow burn: last three days",
            "The same over three days: above 1 the budget does not last, which is a matter for the next working day.",
            "graph",
            "none",
            (Query("slo:burn_rate:3d", "{{slo}}"),),
            limits=(1,),
            alert="ErrorBudgetBurn",
        ),
        Panel(
            "Bad share of five minutes",
            "Share of bad events of each objective now; its line in the next panel is what it may be.",
            "graph",
            "percentunit",
            (Query("slo:error_ratio:5m", "{{slo}}"),),
            most=1,
        ),
        Panel(
            "Objectives",
            "The share of good events that each objective promises; everything else here is measured against it.",
            "bars",
            "percentunit",
            (Query("slo:objective:ratio", "{{slo}}"),),
            most=1,
        ),
    ),
)

_WRONG = Row(
    "What goes wrong",
    (
        Panel(
            "Updates by outcome",
            "How updates end; `rejected` is what a person asked wrongly, `error` is ours and should be rare.",
            "stacked",
            "reqps",
            (Query(rate(c.UPDATES, by="outcome"), "{{outcome}}"),),
            alert="HighErrorRate",
        ),
        Panel(
            "Errors by part",
            "Failures of updates and jobs by the part that failed; normal is an empty screen, else look at that part's dashboard.",
            "stacked",
            "reqps",
            (Query(or_none(rate(c.ERRORS, by="category"), "category"), "{{category}}"),),
            alert="HighErrorRate",
        ),
        Panel(
            "Bot API calls by outcome",
            "Calls to Telegram by how they end; `retry_after` in numbers means that the bot sends too fast.",
            "stacked",
            "reqps",
            (Query(rate(c.API_DURATION, by="outcome"), "{{outcome}}"),),
        ),
        Panel(
            "Failed traces",
            "The newest traces with an error: open one to see the step that broke and its file and line.",
            "traces",
            "none",
            (Query('{ resource.service.name = "tracegram" && status = error }', source="tempo"),),
            width=12,
            height=10,
        ),
        Panel(
            "Warnings and errors",
            "The newest log lines from WARNING on: the trace of a line is a click away.",
            "logs",
            "none",
            (Query(_TROUBLE, source="loki"),),
            width=12,
            height=10,
        ),
    ),
)

BOARD = Board(
    "overview",
    "Tracegram: overview",
    "Is the bot well, are its objectives kept, and what goes wrong now.",
    (_NOW, _OBJECTIVES, _WRONG),
)
