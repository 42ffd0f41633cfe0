"""A trace as text: one line a span, indented by parent, with a bar on the time axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.telemetry.recorder import SpanRecord, TraceRecord

_NAME_WIDTH = 24
_BAR_WIDTH = 10
_BLOCK = "█"
_THIN = "▏"


def waterfall(trace: TraceRecord, max_lines: int = 60) -> str:
    """Lines such as `  select          |  █   |0.8 ms`; a failed span is marked with `!`.

    At most `max_lines` spans are drawn; a last line says how many more there are.
    """
    ordered = _by_tree(trace.spans)
    start = trace.root.start_ns
    total = max(span.end_ns for span in trace.spans) - start or 1
    lines = [_line(span, depth, start, total) for span, depth in ordered[:max_lines]]
    left_out = len(ordered) - len(lines) + trace.dropped_spans
    if left_out:
        lines.append(f"… and {left_out} more spans")
    return "\n".join(lines)


def _by_tree(spans: Sequence[SpanRecord]) -> list[tuple[SpanRecord, int]]:
    """Parents before children, siblings by start; a span whose parent is not here counts as a root."""
    known = {span.span_id for span in spans}
    children: dict[str | None, list[SpanRecord]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.end_ns)):
        children.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    ordered: list[tuple[SpanRecord, int]] = []
    pending = [(span, 0) for span in reversed(children.get(None, []))]
    while pending:
        span, depth = pending.pop()
        ordered.append((span, depth))
        pending.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))
    return ordered


def _line(span: SpanRecord, depth: int, start: int, total: int) -> str:
    name = ("!" if span.status == "error" else "") + span.name
    label = (" " * min(depth, 6) + name)[:_NAME_WIDTH].ljust(_NAME_WIDTH)
    first = int((span.start_ns - start) / total * _BAR_WIDTH)
    first = min(first, _BAR_WIDTH - 1)
    width = max(round((span.end_ns - span.start_ns) / total * _BAR_WIDTH), 0)
    bar = (" " * first + (_BLOCK * width or _THIN))[:_BAR_WIDTH].ljust(_BAR_WIDTH)
    return f"{label}|{bar}|{duration(span.end_ns - span.start_ns)}"


def duration(nanoseconds: int) -> str:
    """A duration for people: `0.8 ms`, `142 ms`, `3.1 s`."""
    milliseconds = nanoseconds / 1e6
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
