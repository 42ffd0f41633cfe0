"""The spans of a trace as a tree, and what each of them did itself. Pure.

A damaged trace is a tree, too: a span whose parent is missing, or is below itself, stands at the top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.telemetry.recorder import SpanRecord

#: What a span belongs to, for colours and legends.
Part = Literal["update", "handler", "job", "database", "bot api", "http", "other"]


@dataclass(slots=True, eq=False)
class Node:
    """One span with what is below it. `first` and `last` are the earliest start and the latest end of them all.

    A child may begin before its parent (clocks differ) and end after it (an update is processed after its receipt).
    """

    span: SpanRecord
    depth: int = 0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    first: int = 0
    last: int = 0

    @property
    def start(self) -> int:
        """When the span began, in nanoseconds since the epoch."""
        return self.span.start_ns

    @property
    def end(self) -> int:
        """When it ended; one that ends before it begins has no duration."""
        return max(self.span.end_ns, self.span.start_ns)

    @property
    def self_ns(self) -> int:
        """Nanoseconds in which none of its children ran."""
        busy, covered = 0, self.start
        for child in sorted(self.children, key=lambda child: child.start):
            begin, end = max(child.start, covered), min(child.end, self.end)
            busy += max(end - begin, 0)
            covered = max(covered, end)
        return self.end - self.start - busy


def grow(spans: Sequence[SpanRecord]) -> list[Node]:
    """The spans without a parent, in the order of their starts, each with its tree below it."""
    nodes = [Node(span) for span in sorted(spans, key=lambda span: (span.start_ns, span.end_ns))]
    known: dict[str, Node] = {}
    for node in nodes:
        known.setdefault(node.span.span_id, node)
    roots = []
    for node in nodes:
        parent = known.get(node.span.parent_id or "")
        if parent is None or _is_above(node, parent):
            roots.append(node)
        else:
            node.parent = parent
            parent.children.append(node)
    ordered = list(walk(roots))
    for node in ordered:
        node.depth = node.parent.depth + 1 if node.parent else 0
    for node in reversed(ordered):
        node.first = min([node.start, *(child.first for child in node.children)])
        node.last = max([node.end, *(child.last for child in node.children)])
    return roots


def _is_above(node: Node, other: Node | None) -> bool:
    while other is not None:
        if other is node:
            return True
        other = other.parent
    return False


def walk(roots: Sequence[Node]) -> Iterator[Node]:
    """Every node, parents before children, siblings by start. Deep traces are no problem: it does not recurse."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))


def part_of(span: SpanRecord) -> Part:
    """What a span belongs to, by the attributes that its instrumentation gives it."""
    attributes = span.attributes
    system = attributes.get("messaging.system")
    if system is not None:
        return "update" if system == "telegram" else "job"
    if "db.system.name" in attributes:
        return "database"
    if attributes.get("rpc.system.name") == "telegram_bot_api":
        return "bot api"
    if "http.request.method" in attributes:
        return "http"
    if "code.function.name" in attributes:
        return "handler"
    return "job" if any(key.startswith("job.") for key in attributes) else "other"
