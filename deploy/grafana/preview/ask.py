"""Asks the real programs what a panel shows, as Grafana does."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from deploy.grafana.preview.shapes import Line
from deploy.grafana.source.panel import Panel, Query

STEP_S = 2
_SEEN = 12


@dataclass(frozen=True, slots=True)
class Backends:
    """Where Prometheus, Tempo and Loki are, and how many seconds back a picture goes."""

    prometheus: str
    tempo: str
    loki: str
    seconds: int = 180

    def filled(self, expr: str) -> str:
        """A query with Grafana's variables filled in: all instances, the time of the picture."""
        wanted = {"$instance": ".+", "$__rate_interval": "30s", "$__range": f"{self.seconds}s"}
        for name, value in wanted.items():
            expr = expr.replace(name, value)
        return expr


@dataclass(slots=True)
class Answer:
    """What a panel shows: series, exemplars as time and value, or rows of text."""

    lines: list[Line] = field(default_factory=list)
    exemplars: list[tuple[float, float]] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)
    end: float = 0.0


async def ask(session: aiohttp.ClientSession, backends: Backends, panel: Panel) -> Answer:
    """Everything that a panel shows. Raises `aiohttp.ClientResponseError` for a query that is refused."""
    answer = Answer(end=time.time() // STEP_S * STEP_S)
    for query in panel.queries:
        match query.source:
            case "prometheus":
                await _prometheus(session, backends, panel, query, answer)
            case "loki":
                answer.rows += await _loki(session, backends, query)
            case "tempo":
                answer.rows += await _tempo(session, backends, query)
    return answer


async def _prometheus(
    session: aiohttp.ClientSession, backends: Backends, panel: Panel, query: Query, answer: Answer
) -> None:
    span: dict[str, str | float] = {
        "query": backends.filled(query.expr),
        "start": answer.end - backends.seconds,
        "end": answer.end,
    }
    if panel.kind == "bars":
        span["start"] = answer.end
    found = await _get(session, f"{backends.prometheus}/api/v1/query_range", **span, step=STEP_S)
    legend = "{{le}}" if panel.kind == "heatmap" else query.legend
    for series in found["data"]["result"]:
        points = tuple((float(at), float(value)) for at, value in series["values"])
        answer.lines.append(Line(_named(legend, series["metric"]), points))
    if query.exemplar:
        found = await _get(session, f"{backends.prometheus}/api/v1/query_exemplars", **span)
        answer.exemplars += [
            (float(dot["timestamp"]), float(dot["value"]))
            for series in found["data"]
            for dot in series["exemplars"]
        ]


async def _loki(session: aiohttp.ClientSession, backends: Backends, query: Query) -> list[tuple[str, ...]]:
    address = f"{backends.loki}/loki/api/v1/query_range"
    found = await _get(session, address, query=query.expr, since=f"{backends.seconds}s", limit=_SEEN)
    rows = [
        (at, stream["stream"].get("severity_text", ""), stream["stream"].get("trace_id", "")[:8], line)
        for stream in found["data"]["result"]
        for at, line in stream["values"]
    ]
    return [(_clock(int(at) / 1e9), *row) for at, *row in sorted(rows, reverse=True)[:_SEEN]]


async def _tempo(session: aiohttp.ClientSession, backends: Backends, query: Query) -> list[tuple[str, ...]]:
    found = await _get(session, f"{backends.tempo}/api/search", q=query.expr, limit=_SEEN)
    traces = sorted(found.get("traces", ()), key=lambda kept: -int(kept["startTimeUnixNano"]))
    return [
        (
            _clock(int(kept["startTimeUnixNano"]) / 1e9),
            kept["traceID"][:8],
            kept.get("rootTraceName", ""),
            f"{kept.get('durationMs', 0)} ms",
        )
        for kept in traces[:_SEEN]
    ]


async def _get(session: aiohttp.ClientSession, address: str, **parameters: str | float) -> Any:
    async with session.get(address, params=parameters) as response:
        response.raise_for_status()
        return await response.json(content_type=None)


def _named(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip()


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at))
