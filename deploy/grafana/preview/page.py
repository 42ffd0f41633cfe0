"""A dashboard and its answers as one page of HTML. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from deploy.grafana.preview.ask import Answer, Backends
from deploy.grafana.preview.shapes import LIMITS, PALETTE, Frame, amount, dots, graph, heatmap
from deploy.grafana.source.panel import Board, Panel
from deploy.grafana.source.render import colours

_COLUMN, _LINE = 59, 34
_LEGENDS = 5
_STYLE = f"""
body {{ margin: 0; padding: 12px; width: {24 * _COLUMN}px; background: #111217; color: #ccccdc; font: 12px sans-serif }}
h1 {{ font-size: 18px; margin: 4px 6px }} h2 {{ font-size: 13px; margin: 10px 6px 4px }}
main {{ display: grid; grid-template-columns: repeat(24, {_COLUMN}px); grid-auto-rows: {_LINE}px }}
h2 {{ grid-column: 1 / -1 }}
section {{ margin: 3px; padding: 6px 8px; background: #181b1f; border: 1px solid #2c3036; border-radius: 3px; overflow: hidden }}
h3 {{ margin: 0 0 4px; font-size: 12px; font-weight: 600; white-space: nowrap }}
b {{ font-size: 30px }} svg {{ display: block }} .shapes {{ position: relative }} .shapes svg + svg {{ position: absolute; top: 0 }}
li {{ list-style: none; white-space: nowrap; line-height: 15px }} ul {{ margin: 4px 0 0; padding: 0 }}
i {{ display: inline-block; width: 10px; height: 3px; margin-right: 6px; vertical-align: middle }}
li span, td:last-child {{ color: #9a9ab0 }} .edge {{ fill: #9a9ab0; font-size: 9px }}
.bar {{ height: 9px; border-radius: 2px; margin-bottom: 3px }} td {{ padding: 1px 10px 1px 0; white-space: nowrap }}
"""


def page(board: Board, answers: dict[str, Answer], backends: Backends) -> str:
    """The whole dashboard; `answers` are by the title of the panel."""
    cells = []
    for row in board.rows:
        cells.append(f"<h2>{escape(row.title)}</h2>")
        cells += [_panel(panel, answers[panel.title], backends.seconds) for panel in row.panels]
    return (
        f"<!doctype html><meta charset=utf-8><title>{escape(board.title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(board.title)}</h1><main>{''.join(cells)}</main>"
    )


def _panel(panel: Panel, answer: Answer, seconds: int) -> str:
    place = f"grid-column: span {panel.width}; grid-row: span {panel.height}"
    return (
        f'<section style="{place}"><h3>{escape(panel.title)}</h3>{_inside(panel, answer, seconds)}</section>'
    )


def _inside(panel: Panel, answer: Answer, seconds: int) -> str:
    match panel.kind:
        case "stat":
            return _stat(panel, answer)
        case "bars":
            return _bars(panel, answer)
        case "logs" | "traces":
            return _table(answer.rows)
        case "graph" | "stacked" | "heatmap":
            return _drawn(panel, answer, seconds)


def _stat(panel: Panel, answer: Answer) -> str:
    if not answer.lines:
        return "<b>no data</b>"
    value = answer.lines[0].last
    words = dict(panel.wrong).get(f"{value:g}")
    colour = "red" if words else _colour(panel, value)
    return f'<b style="color: {LIMITS[colour]}">{escape(words or amount(value, panel.unit))}</b>'


def _bars(panel: Panel, answer: Answer) -> str:
    most = panel.most or max((line.last for line in answer.lines), default=0) or 1
    return "".join(
        f"<div>{escape(line.name)} <span>{amount(line.last, panel.unit)}</span></div>"
        f'<div class=bar style="width: {max(min(line.last / most, 1), 0.005):.1%}; '
        f'background: {LIMITS[_colour(panel, line.last)]}"></div>'
        for line in answer.lines
    )


def _table(rows: Iterable[Sequence[str]]) -> str:
    cells = ("".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}' for row in cells)}</table>"


def _drawn(panel: Panel, answer: Answer, seconds: int) -> str:
    legends = 0 if panel.kind == "heatmap" else min(len(answer.lines), _LEGENDS)
    size = panel.width * _COLUMN - 26, panel.height * _LINE - 46 - 15 * legends
    frame = Frame(*size, answer.end - seconds, answer.end, _top(panel, answer))
    if panel.kind == "heatmap":
        return heatmap(answer.lines, frame)
    limits = list(zip(panel.limits, colours(panel)[1:], strict=False))
    shapes = graph(answer.lines, frame, limits, stacked=panel.kind == "stacked")
    if answer.exemplars:
        shapes += dots(answer.exemplars, frame)
    names = "".join(
        f'<li><i style="background: {PALETTE[number % len(PALETTE)]}"></i>{escape(line.name)} '
        f"<span>{amount(line.last, panel.unit)}</span></li>"
        for number, line in enumerate(answer.lines[:_LEGENDS])
    )
    return f"<div class=shapes>{shapes}</div><ul>{names}</ul>"


def _top(panel: Panel, answer: Answer) -> float:
    """The highest value in sight: of the lines, or of all of them upon each other."""
    if panel.most is not None:
        return panel.most * 1.05
    highest = [max((v for _, v in line.points if math.isfinite(v)), default=0) for line in answer.lines]
    seen = sum(highest) if panel.kind == "stacked" else max(highest, default=0)
    return max(seen, *(value for _, value in answer.exemplars), 0) * 1.1 or 1


def _colour(panel: Panel, value: float) -> str:
    reached = sum(value >= limit for limit in panel.limits)
    return colours(panel)[reached]
