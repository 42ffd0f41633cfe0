"""What a rule is, and how a file of rules is written for Prometheus.

The YAML is written here, without a library: strings as JSON, which is YAML, and expressions as blocks that a person can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

#: `critical`: wake somebody up; `warning`: look today; `info`: for machines.
Severity = Literal["critical", "warning", "info"]
Category = Literal["updates", "jobs", "database", "instances", "slo", "telemetry", "monitoring"]

#: Go templates of Prometheus: the value of the expression.
VALUE = "{{ $value | humanize }}"
PERCENT = "{{ $value | humanizePercentage }}"
SECONDS = "{{ $value | humanizeDuration }}"
INSTANCE = "{{ $labels.instance }}"


@dataclass(frozen=True, slots=True)
class Recording:
    """One series that is computed ahead, because several rules and panels need it."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `summary` may use Go templates; `when` is the rule in words, without any, for documents and messages.

    `for_s` is how long the expression must hold, in seconds. `setting` names the threshold, if there is one. Two alerts of
    one name differ in severity. No text holds anything that comes from a user.
    """

    name: str
    severity: Severity
    category: Category
    expr: str
    for_s: int
    summary: str
    when: str
    setting: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def all_labels(self) -> dict[str, str]:
        """The labels that the rule adds to those of the expression."""
        return {"severity": self.severity, "category": self.category, **self.labels}

    def annotations(self, runbook_url: str) -> dict[str, str]:
        """What is said about it; the runbook is below `runbook_url`, or a path in the repository when that is empty."""
        runbook = f"{runbook_url or 'docs/runbooks'}/{self.name}.md"
        return {"summary": self.summary, "description": self.when, "runbook_url": runbook}


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that Prometheus evaluates one after the other, every `interval_s` seconds."""

    name: str
    interval_s: int
    recordings: tuple[Recording, ...] = ()
    alerts: tuple[Alert, ...] = ()


def render(groups: Iterable[Group], runbook_url: str) -> str:
    """A file of rules, as Prometheus reads it."""
    lines = ["groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", f"    interval: {duration(group.interval_s)}", "    rules:"]
        for recording in group.recordings:
            lines += [f"      - record: {recording.name}", *_expression(recording.expr)]
            lines += _mapping("labels", recording.labels)
        for alert in group.alerts:
            lines += [f"      - alert: {alert.name}", *_expression(alert.expr)]
            lines += [f"        for: {duration(alert.for_s)}"] if alert.for_s else []
            lines += _mapping("labels", alert.all_labels())
            lines += _mapping("annotations", alert.annotations(runbook_url))
    return "\n".join(lines) + "\n"


def duration(seconds: int) -> str:
    """Seconds as Prometheus writes them, in the largest unit that fits."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _expression(expr: str) -> list[str]:
    return ["        expr: |-", *(f"          {line}" for line in expr.strip().splitlines())]


def _mapping(key: str, values: Mapping[str, str]) -> list[str]:
    if not values:
        return []
    return [f"        {key}:", *(f"          {name}: {_quoted(text)}" for name, text in values.items())]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
