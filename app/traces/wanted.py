"""Sends to the Collector again what it may have dropped, and what somebody will look for.

That is an update that ended long after its receipt, since the tail sampling judged it by its beginning; and what a failed or
rejected trace links to (the update behind a job, the screen behind a press), as far as it is recorded.

Only its receipt says how long an update took, and that may be another process's. It is looked up for what would be missed: an
update that went wrong, or that an exemplar names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from app.telemetry.again import SendAgain
from app.telemetry.recorder import TraceRecord
from app.telemetry.series import EXEMPLAR
from app.telemetry.story import is_bad, update_number

#: Traces that are looked up in one go. A storm of failures is known from less, and each costs a look into the database.
_AT_MOST = 20
#: Linked traces that are not sent once more.
_REMEMBERED = 1000
#: The Collector decides ten seconds after the first span (`otel/collector.yaml`); its clock and ours may differ.
_LATE_MS = 5000.0

Find = Callable[[str], Awaitable[TraceRecord | None]]


class Wanted:
    """Knows what was sent already."""

    def __init__(self, find: Find, send: SendAgain) -> None:
        self._find = find
        self._send = send
        self._sent: OrderedDict[str, None] = OrderedDict()

    async def among(self, traces: Sequence[TraceRecord]) -> None:
        """Send what is wanted of these, and of what they link to."""
        updates = [trace for trace in traces if update_number(trace) is not None]
        received_elsewhere = [trace.trace_id for trace in updates if _is_missed(trace)][-_AT_MOST:]
        whole = [await self._find(cid) for cid in received_elsewhere]
        for trace in [*updates, *filter(None, whole)]:
            if trace.duration_ms > _LATE_MS:
                self._send(trace, "late")
        linked = [other for trace in traces if is_bad(trace) for other in trace.linked_traces]
        for cid in [cid for cid in dict.fromkeys(linked) if cid not in self._sent][-_AT_MOST:]:
            found = await self._find(cid)
            if found is not None:
                self._remember(cid)
                self._send(found, "linked")

    def _remember(self, cid: str) -> None:
        self._sent[cid] = None
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)


def _is_missed(trace: TraceRecord) -> bool:
    """Whether somebody will look for it, and what is here does not say how long it took: its beginning is elsewhere."""
    is_short = trace.duration_ms <= _LATE_MS
    return is_short and trace.root.parent_id is not None and (is_bad(trace) or trace.has(EXEMPLAR, True))
