"""Finds the metrics and labels that a PromQL query names, and says which of them the catalogue does not declare.

Not a parser: promtool is that one, in tests/stack. Names with `bot_`, `process_` and `otel_sdk_` are the bot's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.telemetry.catalogue import Label, Metric

Matcher = tuple[str, str, str]

_SELECTOR = re.compile(r"(?<![\w:\"])([a-zA-Z_][\w:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_OURS = re.compile(r"(bot|process|otel_sdk)_|bot:|slo:")
_OTHERS = re.compile(r"(up|otelcol_\w+|prometheus_\w+|alertmanager_\w+|tempo_\w+|loki_\w+|traces_\w+)$")
_ADDED = {"job", "instance", "slo"}


def selectors(query: str) -> list[tuple[str, list[Matcher]]]:
    """The metrics and recorded series that a query names, each with its matchers."""
    text = _GROUPING.sub("", query)
    found = []
    for name, labels in _SELECTOR.findall(text):
        if _OURS.match(name) or _OTHERS.match(name):
            found.append((name, [(key, op, value) for key, op, value in _MATCHER.findall(labels)]))
    return found


def strangers(query: str, catalogue: Iterable[Metric], recorded: set[str]) -> list[str]:
    """What is wrong with the names of a query, in the order in which it names them."""
    series = {name: metric for metric in catalogue for name in _names(metric)}
    wrong: list[str] = []
    for name, matchers in selectors(query):
        if ":" in name:
            wrong += [] if name in recorded else [f"{name} is not recorded"]
        elif _OURS.match(name):
            wrong += _judge(name, matchers, series.get(name))
    return wrong


def _names(metric: Metric) -> list[str]:
    ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
    return [metric.prometheus + end for end in ends]


def _judge(name: str, matchers: list[Matcher], metric: Metric | None) -> list[str]:
    if metric is None:
        return [f"{name} is no metric"]
    labels = {label.key: label for label in metric.labels}
    wrong = [] if ("job", "=", "tracegram") in matchers else [f'{name} is asked without job="tracegram"']
    for key, op, value in matchers:
        if key in _ADDED:
            continue
        if key == "le" and name.endswith("_bucket"):
            wrong += _edge(name, value, metric)
        elif key not in labels:
            wrong.append(f"{name} has no label {key}")
        else:
            wrong += _value(name, labels[key], value.split("|") if "~" in op else [value])
    return wrong


def _edge(name: str, value: str, metric: Metric) -> list[str]:
    edges = {str(float(edge)) for edge in metric.buckets or ()} | {"+Inf"}
    return [] if value in edges else [f"{name} has no edge {value}"]


def _value(name: str, label: Label, values: list[str]) -> list[str]:
    known = label.values
    return [
        f"{name} has no {label.key} {value}" for value in values if known is not None and value not in known
    ]
