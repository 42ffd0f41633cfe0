"""What a dashboard is declared as: boards of rows of panels of queries. Pure data; `render.py` makes Grafana's JSON of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["graph", "stacked", "stat", "bars", "heatmap", "logs", "traces"]
Source = Literal["prometheus", "loki", "tempo"]


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a data source. `legend` may use labels, as in `{{instance}}`; exemplars are asked for when told."""

    expr: str
    legend: str = ""
    exemplar: bool = False
    source: Source = "prometheus"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `says` tells what is normal and what to do otherwise; `unit` is Grafana's name of a unit.

    `limits` are the values from which on it is yellow and red; with `falling` it is the other way round, and the panel is
    green from the last one on. `wrong` are values with the words that are shown for them, in red. `alert` is the alert whose
    runbook belongs to the panel.
    """

    title: str
    says: str
    kind: Kind
    unit: str
    queries: tuple[Query, ...]
    limits: tuple[float, ...] = ()
    falling: bool = False
    alert: str = ""
    width: int = 8
    height: int = 8
    wrong: tuple[tuple[str, str], ...] = ()
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with the panels below it, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; `slug` is the name of its file and the end of its uid."""

    slug: str
    title: str
    says: str
    rows: tuple[Row, ...]


def stat(
    title: str,
    says: str,
    unit: str,
    expr: str,
    *,
    limits: tuple[float, ...] = (),
    falling: bool = False,
    alert: str = "",
    width: int = 4,
    wrong: tuple[tuple[str, str], ...] = (),
) -> Panel:
    """One number, with its course behind it."""
    return Panel(
        title,
        says,
        "stat",
        unit,
        (Query(expr, title),),
        limits,
        falling,
        alert,
        width,
        height=4,
        wrong=wrong,
    )
