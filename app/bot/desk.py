"""What an admin can ask about traces, answered as screens.

Lists are of this process, from the flight recorder; a single trace may also come from the database, where every process
writes its own. No Collector is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.bot.locales import say
from app.bot.registry import ButtonId, Press
from app.bot.screens import Screen
from app.bot.screens import debug as screens
from app.bot.screens.grafana import loki_link, tempo_link
from app.telemetry.context import correlation_id
from app.telemetry.logs import Verbosity
from app.telemetry.recorder import Recorder, TraceRecord
from app.telemetry.story import chain, last_events, outcome
from app.telemetry.waterfall import duration, waterfall
from app.traces.index import TraceIndex

_SHOWN = 8
_DEBUG_S = 30 * 60.0
#: More digits than a database's integer takes.
_LONGEST_UPDATE_ID = 19


@dataclass(frozen=True, slots=True)
class Desk:
    """Where `/debug` looks things up. `grafana` is the address of Grafana, or empty."""

    recorder: Recorder
    traces: TraceIndex
    verbosity: Verbosity
    grafana: str = ""
    service: str = "tracegram"

    def overview(self, language: str) -> Screen:
        """The last traces and events."""
        others = self._others()
        title = say(language, "debug_title", state="ACTIVE")
        return screens.traces(
            language, title, [_line(trace) for trace in others[:_SHOWN]], last_events(others)
        )

    async def about(self, language: str, query: str) -> Screen:
        """The trace that a query means: the beginning of its ID, a support code, or an update_id."""
        return self._one(language, query, await self._matching(query))

    async def about_message(self, language: str, message_id: int) -> Screen:
        """The trace that made a message, or changed it last."""
        made_by = self.recorder.select(lambda trace: trace.has("telegram.message.id", message_id))
        found = made_by or await self.traces.by_message(message_id)
        return self._one(language, str(message_id), found[:1])

    async def pressed(self, language: str, press: Press) -> Screen:
        """What a button of the screens leads to."""
        match press.button:
            case ButtonId.SHOW_TRACE:
                return await self.about(language, press.argument)
            case ButtonId.SHOW_LAST:
                others = self._others()
                return self._one(language, "", others[:1]) if others else self.overview(language)
            case ButtonId.SHOW_ERRORS:
                failed = [trace for trace in self._others() if trace.failed or _rejected(trace)]
                return _listed(language, "debug_errors", failed)
            case ButtonId.SHOW_SLOW:
                slowest = sorted(self._others(), key=lambda trace: trace.duration_ms, reverse=True)
                return _listed(language, "debug_slow", slowest)
            case _:
                return self.overview(language)

    def debug_logs(self) -> None:
        """Log at DEBUG for 30 minutes."""
        self.verbosity.debug_for(_DEBUG_S)

    def _others(self) -> list[TraceRecord]:
        """Every trace but that of an admin who looks at traces: it would push the others out of sight."""
        asking = correlation_id()
        return self.recorder.select(
            lambda trace: trace.trace_id != asking and not trace.has("telegram.router", "admin")
        )

    async def _matching(self, query: str) -> list[TraceRecord]:
        start = query.replace("-", "").lower()
        found = self.recorder.find(start) or await self.traces.by_id(start)
        if not found and query.isdecimal() and len(query) < _LONGEST_UPDATE_ID:
            here = self.recorder.select(lambda trace: _is_of_update(trace, query))
            found = here or await self.traces.by_update(int(query))
        return found

    def _one(self, language: str, query: str, found: list[TraceRecord]) -> Screen:
        if not found:
            return screens.not_found(language, query)
        if len(found) > 1:
            return screens.ambiguous(language, query, len(found))
        trace = found[0]
        story = screens.Story(
            _line(trace),
            trace.reason,
            chain(trace),
            waterfall(trace),
            trace.linked_traces,
            self._links(trace),
        )
        return screens.trace(language, story)

    def _links(self, trace: TraceRecord) -> tuple[tuple[str, str], ...]:
        if not self.grafana:
            return ()
        started_ms = trace.root.start_ns // 1_000_000
        return (
            ("Tempo", tempo_link(self.grafana, trace.trace_id, started_ms)),
            ("Loki", loki_link(self.grafana, trace.trace_id, self.service, started_ms)),
        )


def _listed(language: str, title_key: str, traces: list[TraceRecord]) -> Screen:
    return screens.traces(language, say(language, title_key), [_line(trace) for trace in traces[:_SHOWN]])


def _is_of_update(trace: TraceRecord, update_id: str) -> bool:
    root = trace.root.attributes
    return root.get("messaging.system") == "telegram" and root.get("messaging.message.id") == update_id


def _line(trace: TraceRecord) -> screens.TraceLine:
    return screens.TraceLine(
        cid=trace.trace_id,
        what=trace.root.name.removeprefix("receive ").removeprefix("send "),
        outcome=outcome(trace),
        duration=duration(round(trace.duration_ms * 1e6)),
        failed=trace.failed or _rejected(trace),
    )


def _rejected(trace: TraceRecord) -> bool:
    return any(event.name == "CALLBACK_REJECTED" for event in trace.events)
