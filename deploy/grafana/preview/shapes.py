"""Answers of Prometheus as SVG: lines, areas, bars and heatmaps. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

PALETTE = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#56d9d9", "#c4a484")
LIMITS = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c"}


@dataclass(frozen=True, slots=True)
class Line:
    """One series: its name as the legend shows it, and points of time and value."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a picture is drawn: its size in pixels, the time that it shows, and its highest value."""

    width: int
    height: int
    start: float
    end: float
    top: float

    def x(self, at: float) -> float:
        """The column of a time."""
        return (at - self.start) / (self.end - self.start) * self.width

    def y(self, value: float) -> float:
        """The line of a value."""
        return self.height - min(value / self.top, 1) * (self.height - 4)


def amount(value: float, unit: str) -> str:
    """A value as a person reads it."""
    if math.isnan(value):
        return "nothing"
    match unit:
        case "s":
            return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
        case "percentunit":
            return f"{value:.1%}".replace("%", " %")
        case "bytes":
            return f"{value / 1e6:.0f} MB"
        case "reqps" | "cps":
            return f"{value:.2g}/s"
        case _:
            return f"{value:.0f}" if value == round(value) else f"{value:.3g}"


def graph(lines: Sequence[Line], frame: Frame, limits: Sequence[tuple[float, str]], *, stacked: bool) -> str:
    """Lines, or areas upon each other, with the limits that are in sight."""
    drawn = [
        f'<line x1="0" x2="{frame.width}" y1="{frame.y(value):.1f}" y2="{frame.y(value):.1f}" '
        f'stroke="{LIMITS[colour]}" stroke-dasharray="6 4" opacity=".6"/>'
        for value, colour in limits
        if 0 < value <= frame.top
    ]
    below: dict[float, float] = {}
    paths = []
    for number, line in enumerate(lines):
        points = [(at, value + (below.get(at, 0) if stacked else 0)) for at, value in _real(line)]
        colour = PALETTE[number % len(PALETTE)]
        edge = _path(points, frame)
        if stacked:
            floor = _path([(at, below.get(at, 0)) for at, _ in reversed(points)], frame)
            paths.append(f'<polygon points="{edge} {floor}" fill="{colour}" opacity=".4"/>')
            below |= dict(points)
        paths.append(f'<polyline points="{edge}" fill="none" stroke="{colour}" stroke-width="2"/>')
    # The lowest last: one that is nothing lies upon the one below it, and would hide it.
    return _svg(frame, drawn + paths[::-1])


def dots(points: Sequence[tuple[float, float]], frame: Frame) -> str:
    """Exemplars: single observations, each of which has a trace."""
    drawn = [
        f'<circle cx="{frame.x(at):.1f}" cy="{frame.y(value):.1f}" r="3.5" fill="#8ab8ff" stroke="#fff"/>'
        for at, value in points
        if frame.start <= at <= frame.end
    ]
    return _svg(frame, drawn)


def heatmap(lines: Sequence[Line], frame: Frame) -> str:
    """Buckets from the lowest edge up: the brighter a cell, the more observations a second."""
    edges = sorted(lines, key=lambda line: float(line.name))
    rows = []
    below: dict[float, float] = {}
    for line in edges:
        now = dict(_real(line))
        rows.append({at: max(value - below.get(at, 0), 0) for at, value in now.items()})
        below = now
    most = max((value for row in rows for value in row.values()), default=0) or 1
    times = sorted({at for row in rows for at in row})
    step = min((later - at for at, later in pairwise(times)), default=frame.end - frame.start)
    wide = frame.x(frame.start + step)
    high = frame.height / max(len(rows), 1)
    drawn = [
        f'<rect x="{frame.x(at - step):.1f}" y="{frame.height - (number + 1) * high:.1f}" width="{wide:.2f}" '
        f'height="{high - 1:.1f}" fill="#ff780a" opacity="{0.15 + 0.85 * row[at] / most:.2f}"/>'
        for number, row in enumerate(rows)
        for at in times
        if row.get(at)
    ]
    names = [
        f'<text x="2" y="{frame.height - number * high - 2:.1f}" class="edge">{escape(line.name)}</text>'
        for number, line in enumerate(edges)
    ]
    return _svg(frame, drawn + names)


def _path(points: Sequence[tuple[float, float]], frame: Frame) -> str:
    return " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in points)


def _real(line: Line) -> list[tuple[float, float]]:
    return [point for point in line.points if math.isfinite(point[1])]


def _svg(frame: Frame, drawn: Sequence[str]) -> str:
    return (
        f'<svg width="{frame.width}" height="{frame.height}" viewBox="0 0 {frame.width} {frame.height}">'
        f"{''.join(drawn)}</svg>"
    )
