"""An alert, a trace and a log record as pages of HTML: what a click in Grafana leads to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
body { margin: 0; padding: 14px; width: 1160px; background: #111217; color: #ccccdc; font: 13px sans-serif }
h1 { font-size: 17px; margin: 0 0 10px } table { border-collapse: collapse; width: 100% }
td { padding: 3px 12px 3px 0; vertical-align: top; border-bottom: 1px solid #22252b; white-space: pre-wrap }
td:first-child { color: #9a9ab0; white-space: nowrap; width: 1% } .ours { color: #f2cc0c; font-weight: 600 }
.time { position: relative; height: 15px; width: 560px } .bar { position: absolute; height: 13px; border-radius: 2px }
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One span of a trace: when it ran, in nanoseconds, what it is below of, and whether it failed."""

    span_id: str
    parent: str
    name: str
    start: int
    end: int
    failed: bool
    detail: str = ""


def facts(title: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, one a line."""
    rows = "".join(f"<tr><td>{escape(name)}<td>{escape(value)}" for name, value in pairs)
    return _page(title, f"<table>{rows}</table>")


def alert(found: Mapping[str, Mapping[str, str]], state: str) -> str:
    """A firing alert, as Prometheus tells of it."""
    labels, annotations = found["labels"], found["annotations"]
    return facts(f"{labels['alertname']} is {state}", [*annotations.items(), *labels.items()])


def record(labels: Mapping[str, str], line: str, wanted: Sequence[str]) -> str:
    """A log record with the named fields; of a stack, the last lines, the project's own in another colour."""
    rows = []
    for name in wanted:
        value = escape(labels.get(name, ""))
        if "\n" in value:
            value = "\n".join(_frame(part) for part in value.splitlines()[-14:])
        rows.append(f"<tr><td>{escape(name)}<td>{value}")
    return _page(line, f"<table>{''.join(rows)}</table>")


def _frame(line: str) -> str:
    """A line of a stack without the folder that the program is in."""
    place = line.partition("/site-packages/")[2]
    if place:
        return place
    for folder in ("/app/", "/instrumentation/"):
        if folder in line:
            ours = folder.lstrip("/") + line.partition(folder)[2]
            return f"<span class=ours>{ours}</span>" if folder == "/app/" else ours
    return line


def trace(title: str, steps: Sequence[Step]) -> str:
    """The spans of a trace as a waterfall, in the order of a walk from the root."""
    start = min(step.start for step in steps)
    whole = max(step.end for step in steps) - start
    rows = []
    for step, depth in _walk(steps, "", 0):
        left = (step.start - start) / whole * 100
        wide = max((step.end - step.start) / whole * 100, 0.4)
        colour = "#f2495c" if step.failed else "#8ab8ff"
        bar = f'<div class=bar style="left: {left:.2f}%; width: {wide:.2f}%; background: {colour}"></div>'
        took = f"{(step.end - step.start) / 1e6:.1f} ms"
        rows.append(
            f"<tr><td>{'&ensp;' * 2 * depth}{escape(step.name)}<td><div class=time>{bar}</div>"
            f"<td>{took}<td>{escape(step.detail)}"
        )
    return _page(title, f"<table>{''.join(rows)}</table>")


def _walk(steps: Sequence[Step], parent: str, depth: int) -> Iterable[tuple[Step, int]]:
    for step in sorted((step for step in steps if step.parent == parent), key=lambda step: step.start):
        yield step, depth
        yield from _walk(steps, step.span_id, depth + 1)


def _page(title: str, inside: str) -> str:
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><h1>{escape(title)}</h1>{inside}"
