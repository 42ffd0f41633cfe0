"""What an admin can ask about traces, answered as screens.

Lists and traces are put together from what every process recorded in the database. No Collector is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from app.bot.dossier import Archive, Dossier
from app.bot.locales import say
from app.bot.registry import ButtonId, Press
from app.bot.screens import Screen
from app.bot.screens import debug as screens
from app.bot.telling import line_of, story_of
from app.telemetry.again import SendAgain
from app.telemetry.context import correlation_id
from app.telemetry.picture import picture
from app.telemetry.recorder import TraceRecord
from app.telemetry.story import last_events
from app.traces.tempo import Kept
from app.traces.verbosity import SharedVerbosity

_DEBUG_S = 30 * 60.0
_SLOW_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where `/debug` looks things up. `state` is ACTIVE or PASSIVE, `grafana` the address of Grafana or empty.

    With `again`, what Tempo does not have is sent to it once more, lest the links to it lead nowhere.
    """

    archive: Archive
    verbosity: SharedVerbosity
    state: Callable[[], str]
    grafana: str = ""
    service: str = "tracegram"
    again: SendAgain | None = None

    async def overview(self, language: str, page: int = 1) -> Screen:
        """The last traces and events."""
        others = await self._newest()
        title = say(language, "debug_title", state=self.state())
        return screens.traces(
            language, title, [line_of(trace) for trace in others], last_events(others), page=page
        )

    async def about(self, language: str, query: str) -> Screen:
        """The trace that a query means: the beginning of its ID, a support code, or an update_id."""
        found = await self.archive.find(query)
        if len(found) > 1:
            return screens.ambiguous(language, query, len(found))
        return await self._one(language, query, found[0] if found else None)

    async def about_message(self, language: str, message_id: int) -> Screen:
        """The trace that made a message, or changed it last."""
        return await self._one(language, str(message_id), await self.archive.made(message_id))

    async def pressed(self, language: str, press: Press) -> Screen:
        """What a button of the screens leads to."""
        match press.button:
            case ButtonId.SHOW_TRACE:
                return await self.about(language, press.argument)
            case ButtonId.SHOW_PAGE:
                cid, _, page = press.argument.partition(".")
                return await self._one(language, cid, cid, _number(page))
            case ButtonId.SHOW_LAST:
                last = next((trace.trace_id for trace in await self._newest()), None)
                return await self._one(language, last, last) if last else await self.overview(language)
            case ButtonId.SHOW_ERRORS:
                failed = await self.archive.traces.bad()
                return _listed(language, "debug_errors", "debug_errors_empty", failed, press)
            case ButtonId.SHOW_SLOW:
                slowest = await self.archive.traces.slowest(datetime.now(UTC) - _SLOW_WITHIN)
                return _listed(language, "debug_slow", "debug_slow_empty", slowest, press)
            case _:
                return await self.overview(language, _number(press.argument))

    async def picture(self, cid: str) -> bytes | None:
        """The waterfall as a PNG, drawn on a thread; None when no span of the trace is kept any more."""
        trace = await self.archive.traces.whole(cid)
        return None if trace is None else await asyncio.to_thread(picture, trace)

    async def debug_logs(self) -> None:
        """Let every process log at DEBUG for 30 minutes."""
        await self.verbosity.debug_for(_DEBUG_S)

    async def _newest(self) -> list[TraceRecord]:
        return _others(await self.archive.traces.newest())

    async def _one(self, language: str, query: str, cid: str | None, page: int = 1) -> Screen:
        if cid is None:
            return screens.not_found(language, query)
        dossier = self._sent_again(await self.archive.open(cid))
        # On a thread, as the picture: a trace may have thousands of spans.
        story = await asyncio.to_thread(story_of, language, dossier, self.grafana, self.service)
        return screens.trace(language, story, page) if story else screens.not_found(language, query)

    def _sent_again(self, dossier: Dossier) -> Dossier:
        if self.again is None or dossier.trace is None or (dossier.kept and dossier.kept.state == "kept"):
            return dossier
        for trace in (dossier.trace, *dossier.related):
            self.again(trace, "debug")
        return replace(dossier, kept=Kept("again") if dossier.kept else None)


def _others(traces: Sequence[TraceRecord]) -> list[TraceRecord]:
    """Every trace but those of an admin who looks at traces, this one among them: they would push the others out of sight."""
    asking = correlation_id()
    return [
        trace for trace in traces if trace.trace_id != asking and not trace.has("telegram.router", "admin")
    ]


def _listed(
    language: str, title_key: str, empty_key: str, traces: Sequence[TraceRecord], press: Press
) -> Screen:
    lines = [line_of(trace) for trace in _others(traces)]
    title, empty = say(language, title_key), say(language, empty_key)
    return screens.traces(
        language, title, lines, empty=empty, list_of=press.button, page=_number(press.argument)
    )


def _number(argument: str) -> int:
    """A page from callback data, which anybody could have written."""
    return int(argument) if argument.isascii() and argument.isdecimal() and len(argument) < 6 else 1
