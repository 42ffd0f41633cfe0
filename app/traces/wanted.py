"""Sends to the Collector again what it may have dropped, and what somebody will look for.

That is an update that ended long after its receipt, since the tail sampling judged it by its beginning; and what a failed or
rejected trace links to (the update behind a job, the screen behind a press), as far as it is recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from app.telemetry.again import SendAgain
from app.telemetry.recorder import TraceRecord
from app.telemetry.story import is_bad, update_number

#: Linked traces in one go. A storm of failures is known from less, and each costs a look into the database.
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
        for trace in traces:
            if trace.duration_ms > _LATE_MS and update_number(trace) is not None:
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
