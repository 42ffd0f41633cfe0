"""The critical path of a trace: the chain of steps that made it last as long as it did. Pure.

From the end of the trace backwards: the time belongs to the child that ended last before it, and to the span itself
where no child ran. The segments follow one another without a gap and make up the whole duration of the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.telemetry.spantree import Node, walk


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the path, in nanoseconds since the epoch.

    The span of `node` was at work then, or, while `waiting`, nothing ran and it was what came next: an update in the
    inbox, a job in the queue.
    """

    node: Node
    start_ns: int
    end_ns: int
    waiting: bool = False

    @property
    def duration_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.start_ns


def critical_path(roots: Sequence[Node]) -> list[Segment]:
    """The segments from the first start to the last end, earliest first."""
    latest_first: list[Segment] = []
    # What is still to be told, the latest of it on top: a stretch without children, or a whole tree.
    pending: list[Segment | Node] = [*reversed(_backwards(roots, None))]
    while pending:
        step = pending.pop()
        if isinstance(step, Node):
            pending.extend(reversed(_backwards(step.children, step)))
        elif step.duration_ns:
            latest_first.append(step)
    return latest_first[::-1]


def _backwards(children: Sequence[Node], parent: Node | None) -> list[Segment | Node]:
    """The path through one generation, latest first: children, and between them what the parent did itself."""
    by_end = sorted(children, key=lambda child: (child.last, child.first), reverse=True)
    point = parent.last if parent else by_end[0].last
    begin = parent.first if parent else min(child.first for child in children)
    following = parent
    steps: list[Segment | Node] = []
    for child in by_end:
        if child.last <= point:
            steps += _between(parent, child.last, point, following or child)
            steps.append(child)
            point, following = child.first, child
    if following is not None:
        steps += _between(parent, begin, point, following)
    return steps


def _between(parent: Node | None, start: int, end: int, following: Node) -> Iterator[Segment]:
    """A stretch in which no child ran, latest first: the parent's own time, and waiting before or after it."""
    if parent is None:
        yield Segment(following, start, end, waiting=True)
        return
    own_start = min(max(parent.start, start), end)
    own_end = max(min(parent.end, end), own_start)
    yield Segment(following, own_end, end, waiting=True)
    yield Segment(parent, own_start, own_end)
    yield Segment(parent, start, own_start, waiting=True)


def shares(path: Sequence[Segment]) -> list[tuple[Node, bool, int]]:
    """How many nanoseconds of the path each span has, working and waiting apart (`True` is waiting); most first."""
    sums: dict[tuple[int, bool], tuple[Node, bool, int]] = {}
    for segment in path:
        key = (id(segment.node), segment.waiting)
        before = sums[key][2] if key in sums else 0
        sums[key] = (segment.node, segment.waiting, before + segment.duration_ns)
    return sorted(sums.values(), key=lambda share: -share[2])


def most_telling(roots: Sequence[Node], path: Sequence[Segment], limit: int) -> list[Node]:
    """At most `limit` nodes in the order of the tree: failed ones, then the path's, then the longest, with parents."""
    on_path: dict[int, int] = {}
    for segment in path:
        on_path[id(segment.node)] = on_path.get(id(segment.node), 0) + segment.duration_ns
    nodes = list(walk(roots))
    if len(nodes) <= limit:
        return nodes
    kept: set[int] = set()
    for node in sorted(
        nodes, key=lambda n: (n.span.status != "error", -on_path.get(id(n), 0), n.start - n.end)
    ):
        above: Node | None = node
        line = []
        while above is not None and id(above) not in kept:
            line.append(id(above))
            above = above.parent
        if len(kept) + len(line) <= limit:
            kept.update(line)
    return [node for node in nodes if id(node) in kept]
