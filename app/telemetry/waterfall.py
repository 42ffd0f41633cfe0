"""A trace as text: one line a span, indented by parent, with a bar on the time axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.telemetry.critical import Segment, critical_path, shares
from app.telemetry.recorder import TraceRecord
from app.telemetry.spantree import Node, grow, walk

_NAME_WIDTH = 23
_BAR_WIDTH = 8
_DURATION_WIDTH = 6
_DEEPEST = 6
_BLOCK = "█"
_THIN = "▏"
#: A smaller part of the whole is no explanation.
_TELLING_SHARE = 0.05


def waterfall(trace: TraceRecord) -> list[str]:
    """Lines such as `* select              |  █   |  12ms 0.8ms`: name, bar, duration, and self time if it has children.

    `*` marks the spans of the critical path, `!` one that failed. A last line says how many were not recorded.
    """
    roots = grow(trace.spans)
    critical = {id(segment.node) for segment in critical_path(roots) if not segment.waiting}
    start = min(root.first for root in roots)
    total = max(root.last for root in roots) - start or 1
    lines = [_line(node, start, total, critical=id(node) in critical) for node in walk(roots)]
    if trace.dropped_spans:
        lines.append(f"… and {trace.dropped_spans} more spans")
    return lines


def _line(node: Node, start: int, total: int, *, critical: bool) -> str:
    name = ("!" if node.span.status == "error" else "") + node.span.name
    label = (" " * min(node.depth, _DEEPEST) + " ".join(name.split()))[:_NAME_WIDTH].ljust(_NAME_WIDTH)
    first = min(int((node.start - start) / total * _BAR_WIDTH), _BAR_WIDTH - 1)
    width = round((node.end - node.start) / total * _BAR_WIDTH)
    bar = (" " * first + (_BLOCK * width or _THIN))[:_BAR_WIDTH].ljust(_BAR_WIDTH)
    took = _short(node.end - node.start).rjust(_DURATION_WIDTH)
    own = f" {_short(node.self_ns)}" if node.children else ""
    return f"{'*' if critical else ' '}{label}|{bar}|{took}{own}"


def longest_steps(path: Sequence[Segment], limit: int = 3) -> str:
    """Where the time of the critical path went: `sendMessage 118 ms (83 %) › waiting for process message 12 ms (8 %)`.

    The longest steps of at least a twentieth of the whole.
    """
    whole = sum(segment.duration_ns for segment in path)
    steps = [
        f"{'waiting for ' if waiting else ''}{_named(node)} {duration(took)} ({took * 100 / (whole or 1):.0f} %)"
        for node, waiting, took in shares(path)[:limit]
        if took >= whole * _TELLING_SHARE
    ]
    return " › ".join(steps)


def _named(node: Node) -> str:
    return node.span.name[:_NAME_WIDTH]


def duration(nanoseconds: int) -> str:
    """A duration for people: `0.8 ms`, `142 ms`, `3.1 s`."""
    milliseconds = nanoseconds / 1e6
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def _short(nanoseconds: int) -> str:
    return duration(nanoseconds).replace(" ", "")
