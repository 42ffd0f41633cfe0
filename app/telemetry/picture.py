"""A trace as a picture for Telegram: 1280 pixels wide, which is what Telegram leaves of a photo.

Pure but for the drawing itself, which takes some tens of milliseconds: call it off the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from app.telemetry.canvas import (
    BAD,
    FAINT,
    GOLD,
    GOOD,
    LINE,
    SOFT,
    STRIPE,
    TEXT,
    Canvas,
    Colour,
    blend,
    width_of,
)
from app.telemetry.critical import Segment, critical_path, most_telling
from app.telemetry.recorder import TraceRecord
from app.telemetry.spantree import Node, Part, grow, part_of, walk
from app.telemetry.story import is_bad, outcome, title
from app.telemetry.waterfall import duration, longest_steps

_WIDTH, _MARGIN = 1280, 40
_NAMES_UNTIL, _AXIS_FROM, _AXIS_UNTIL, _TOTAL_AT = 428, 452, 1008, 1128
_HEAD, _EVENTS, _FOOT = 236, 44, 92
_MOST_ROWS, _FEW_ROWS = 40, 18
_DEEPEST, _INDENT = 8, 18
_TICKS = 5

PARTS: dict[Part, Colour] = {
    "update": "#6c9cff",
    "handler": "#b98cff",
    "job": "#ff8ac4",
    "database": "#3fd6a0",
    "bot api": "#35c9ee",
    "http": "#b5d94c",
    "other": "#9aa8bf",
}


@dataclass(frozen=True)
class _Page:
    """What is on the picture, and where: rows from top to bottom, moments from left to right."""

    trace: TraceRecord
    roots: Sequence[Node]
    path: Sequence[Segment]
    rows: Sequence[Node]
    left_out: int

    @property
    def row_height(self) -> int:
        return 46 if len(self.rows) <= _FEW_ROWS else 36

    @property
    def size(self) -> int:
        """Of the letters in a row."""
        return 25 if len(self.rows) <= _FEW_ROWS else 22

    @property
    def top(self) -> int:
        return _HEAD + (_EVENTS if self.trace.events else 0)

    @property
    def bottom(self) -> int:
        return self.top + self.row_height * (len(self.rows) + (self.left_out > 0))

    @property
    def thread(self) -> int:
        """How far below the middle of a row the critical path is."""
        return self.row_height // 2 - 7

    @cached_property
    def start(self) -> int:
        return min(root.first for root in self.roots)

    @cached_property
    def total(self) -> int:
        return max(root.last for root in self.roots) - self.start or 1

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {id(node): number for number, node in enumerate(self.rows)}

    def x(self, moment_ns: int) -> float:
        share = (moment_ns - self.start) / self.total
        return _AXIS_FROM + min(max(share, 0), 1) * (_AXIS_UNTIL - _AXIS_FROM)

    def y(self, node: Node) -> int | None:
        """The middle of a span's row, or None when it has none."""
        number = self._numbers.get(id(node))
        return None if number is None else self.top + number * self.row_height + self.row_height // 2


def picture(trace: TraceRecord) -> bytes:
    """The waterfall as a PNG: bars by kind, the critical path in gold, failed spans in red, events as diamonds.

    At most 40 spans are drawn, those that tell most; a last line says how many more there are.
    """
    roots = grow(trace.spans)
    path = critical_path(roots)
    rows = most_telling(roots, path, _MOST_ROWS)
    left_out = len(list(walk(roots))) - len(rows) + trace.dropped_spans
    page = _Page(trace, roots, path, rows, left_out)
    canvas = Canvas(_WIDTH, page.bottom + _FOOT)
    _head(canvas, page)
    _stripes(canvas, page)
    _axis(canvas, page)
    _events(canvas, page)
    critical = {id(segment.node) for segment in path if not segment.waiting}
    _connections(canvas, page)
    for node in rows:
        _row(canvas, page, node, critical=id(node) in critical)
    _golden_thread(canvas, page)
    _foot(canvas, page)
    return canvas.png()


def _head(canvas: Canvas, page: _Page) -> None:
    trace = page.trace
    ended = outcome(trace)
    colour = BAD if is_bad(trace) else GOLD if ended == "under way" else GOOD
    canvas.seal(_MARGIN + 26, 62, 26, colour, "no" if is_bad(trace) else "open" if colour == GOLD else "yes")
    took = duration(page.total)
    canvas.text(_WIDTH - _MARGIN, 62, took, 46, TEXT, align="right", bold=True)
    room = _WIDTH - 3 * _MARGIN - 80 - width_of(took, 46)
    canvas.text(_MARGIN + 72, 62, title(trace), 46, TEXT, bold=True, room=room)
    used = canvas.text(_MARGIN, 122, ended, 28, colour, room=_WIDTH // 2)
    room = _WIDTH - 3 * _MARGIN - used
    canvas.text(_WIDTH - _MARGIN, 122, longest_steps(page.path, 1), 25, GOLD, align="right", room=room)
    canvas.text(_MARGIN, 164, trace.trace_id, 25, SOFT)
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(page.start / 1e9))
    canvas.text(_WIDTH - _MARGIN, 164, moment, 25, SOFT, align="right")


def _stripes(canvas: Canvas, page: _Page) -> None:
    for number in range(0, len(page.rows), 2):
        canvas.box(0, page.top + number * page.row_height, _WIDTH, page.row_height, STRIPE)


def _axis(canvas: Canvas, page: _Page) -> None:
    y = _HEAD - 22
    canvas.text(_TOTAL_AT, y, "total", 20, FAINT, align="right")
    canvas.text(_WIDTH - _MARGIN, y, "self", 20, FAINT, align="right")
    for tick in ticks(page.total):
        x = page.x(page.start + tick)
        canvas.box(x, _HEAD - 6, 1, page.bottom - _HEAD + 6, LINE)
        canvas.text(round(x), y, duration(tick) if tick else "0", 20, FAINT, align="middle")


def ticks(total_ns: int) -> list[int]:
    """Round moments from 0 on: steps of 1, 2 or 5 times a power of ten, at most five steps."""
    power = 10 ** (len(str(total_ns // _TICKS or 1)) - 1)
    step = next(power * times for times in (1, 2, 5, 10) if total_ns / (power * times) <= _TICKS)
    return list(range(0, total_ns + 1, step))


def _events(canvas: Canvas, page: _Page) -> None:
    y, free = _HEAD + 20, 0.0
    if page.trace.events:
        canvas.text(_MARGIN, y, "events", page.size, FAINT)
    for event in sorted(page.trace.events, key=lambda event: event.at_ns):
        x = page.x(event.at_ns)
        bad = event.name.endswith(("_REJECTED", "_FAIL", "_FAILED", "_SET_ASIDE"))
        canvas.diamond(x, y, 9 if bad else 7, BAD if bad else SOFT)
        wide = width_of(event.name, 18)
        if bad and x > free:
            at = round(x) + 16 if x + 16 + wide < _AXIS_UNTIL else round(x) - 16 - wide
            free = x + 16 + canvas.text(at, y, event.name, 18, BAD)


def _row(canvas: Canvas, page: _Page, node: Node, *, critical: bool) -> None:
    y = page.y(node)
    if y is None:
        return
    failed = node.span.status == "error"
    colour = BAD if failed else PARTS[part_of(node.span)]
    indent = _MARGIN + min(node.depth, _DEEPEST) * _INDENT
    words = BAD if failed else TEXT if critical else SOFT
    canvas.text(indent, y, node.span.name, page.size, words, room=_NAMES_UNTIL - indent)
    height = page.row_height // 2 - 1
    x, width = page.x(node.start), page.x(node.end) - page.x(node.start)
    canvas.bar(
        min(x, _AXIS_UNTIL - 4),
        y - height // 2 - 3,
        width,
        height,
        colour if critical else blend(colour, 0.55),
    )
    canvas.text(_TOTAL_AT, y, duration(node.end - node.start), page.size, words, align="right")
    if node.children:
        canvas.text(_WIDTH - _MARGIN, y, duration(node.self_ns), page.size, FAINT, align="right")


def _connections(canvas: Canvas, page: _Page) -> None:
    """Where the critical path goes from row to row."""
    last: int | None = None
    for segment in page.path:
        y = page.y(segment.node)
        if y is None:
            continue
        if last is not None and last != y:
            x = page.x(segment.start_ns)
            canvas.box(x - 1, min(last, y) + page.thread, 2, abs(last - y) + 4, blend(GOLD, 0.6))
        last = y


def _golden_thread(canvas: Canvas, page: _Page) -> None:
    """The critical path below the bars, dashed while it waits."""
    for segment in page.path:
        y = page.y(segment.node)
        if y is not None:
            x, width = page.x(segment.start_ns), page.x(segment.end_ns) - page.x(segment.start_ns)
            draw = canvas.dashes if segment.waiting else canvas.box
            draw(min(x, _AXIS_UNTIL - 2), y + page.thread, max(width, 2), 4, GOLD)


def _foot(canvas: Canvas, page: _Page) -> None:
    if page.left_out:
        y = page.bottom - page.row_height // 2
        canvas.text(_MARGIN, y, f"… and {page.left_out} more spans", page.size, FAINT)
    canvas.box(_MARGIN, page.bottom + 14, _WIDTH - 2 * _MARGIN, 1, LINE)
    y, x = page.bottom + 54, _MARGIN
    shown = {part_of(node.span) for node in page.rows}
    for part, colour in PARTS.items():
        if part in shown:
            canvas.bar(x, y - 9, 18, 18, colour)
            x += 28 + canvas.text(x + 28, y, part, 22, SOFT) + 24
    if any(node.span.status == "error" for node in page.rows):
        canvas.bar(x, y - 9, 18, 18, BAD)
        x += 28 + canvas.text(x + 28, y, "failed", 22, SOFT) + 24
    canvas.box(x, y - 2, 30, 4, GOLD)
    x += 40 + canvas.text(x + 40, y, "critical path", 22, SOFT) + 24
    if any(segment.waiting for segment in page.path):
        canvas.dashes(x, y - 2, 30, 4, GOLD)
        canvas.text(x + 40, y, "waiting", 22, SOFT)
