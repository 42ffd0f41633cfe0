"""/debug: why did that button not work? For anyone but an admin the command does not exist.

It answers from the flight recorder: lists are of this process, a single trace may also come from the database, where
every process writes its own. No Collector is needed.
"""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from app.bot import show
from app.bot.filters import IsAdmin, Pressed
from app.bot.locales import say
from app.bot.registry import ButtonId, Press
from app.bot.screens import Screen
from app.bot.screens import debug as screens
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


async def debug(
    message: Message, command: CommandObject, recorder: Recorder, traces: TraceIndex, language: str
) -> None:
    """`/debug` lists the last traces.

    With a trace ID, its beginning, a support code or an update_id it shows that trace; as a reply to a message of the
    bot, the trace that made or last changed the message.
    """
    query = (command.args or "").strip()
    replied = message.reply_to_message
    if query:
        screen = _one(language, query, await _matching(recorder, traces, query))
    elif replied is not None:
        made_by = recorder.select(lambda trace: trace.has("telegram.message.id", replied.message_id))
        found = made_by or await traces.by_message(replied.message_id)
        screen = _one(language, str(replied.message_id), found[:1])
    else:
        screen = _overview(recorder, language)
    await show.answer(message, screen)


async def debug_pressed(
    query: CallbackQuery,
    press: Press,
    recorder: Recorder,
    traces: TraceIndex,
    verbosity: Verbosity,
    language: str,
) -> None:
    """The same, by the buttons of its screens."""
    if press.button is ButtonId.DEBUG_LOGS:
        verbosity.debug_for(_DEBUG_S)
        await show.acknowledge(query, say(language, "debug_logs_on"))
        return
    await show.acknowledge(query)
    if press.button is ButtonId.SHOW_TRACE:
        screen = _one(language, press.argument, await _matching(recorder, traces, press.argument))
    else:
        screen = _pressed(press, recorder, language)
    await show.replace(query.message, screen)


def _pressed(press: Press, recorder: Recorder, language: str) -> Screen:
    match press.button:
        case ButtonId.SHOW_LAST:
            others = _others(recorder)
            return _one(language, "", others[:1]) if others else _overview(recorder, language)
        case ButtonId.SHOW_ERRORS:
            failed = [trace for trace in _others(recorder) if trace.failed or _rejected(trace)]
            return _listed(language, "debug_errors", failed)
        case ButtonId.SHOW_SLOW:
            slowest = sorted(_others(recorder), key=lambda trace: trace.duration_ms, reverse=True)
            return _listed(language, "debug_slow", slowest)
        case _:
            return _overview(recorder, language)


def _overview(recorder: Recorder, language: str) -> Screen:
    others = _others(recorder)
    title = say(language, "debug_title", state="ACTIVE")
    return screens.traces(language, title, [_line(trace) for trace in others[:_SHOWN]], last_events(others))


def _listed(language: str, title_key: str, traces: list[TraceRecord]) -> Screen:
    return screens.traces(language, say(language, title_key), [_line(trace) for trace in traces[:_SHOWN]])


def _others(recorder: Recorder) -> list[TraceRecord]:
    """Every trace but that of an admin who looks at traces: it would push the others out of sight."""
    asking = correlation_id()
    return recorder.select(
        lambda trace: trace.trace_id != asking and not trace.has("telegram.router", "admin")
    )


async def _matching(recorder: Recorder, traces: TraceIndex, query: str) -> list[TraceRecord]:
    """The traces that a query means: by the beginning of the ID, else by update; from memory, else the database."""
    start = query.replace("-", "").lower()
    found = recorder.find(start) or await traces.by_id(start)
    if not found and query.isdecimal() and len(query) < _LONGEST_UPDATE_ID:
        found = recorder.select(lambda trace: _is_of_update(trace, query)) or await traces.by_update(
            int(query)
        )
    return found


def _is_of_update(trace: TraceRecord, update_id: str) -> bool:
    root = trace.root.attributes
    return root.get("messaging.system") == "telegram" and root.get("messaging.message.id") == update_id


def _one(language: str, query: str, found: list[TraceRecord]) -> Screen:
    if not found:
        return screens.not_found(language, query)
    if len(found) > 1:
        return screens.ambiguous(language, query, len(found))
    trace = found[0]
    story = screens.Story(_line(trace), trace.reason, chain(trace), waterfall(trace), trace.linked_traces)
    return screens.trace(language, story)


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


def router(admin_ids: frozenset[int]) -> Router:
    """The router of this area."""
    area = Router(name="admin")
    admin = IsAdmin(admin_ids)
    area.message.register(debug, Command("debug"), admin)
    pressed = Pressed(
        ButtonId.SHOW_TRACES,
        ButtonId.SHOW_TRACE,
        ButtonId.SHOW_LAST,
        ButtonId.SHOW_ERRORS,
        ButtonId.SHOW_SLOW,
        ButtonId.DEBUG_LOGS,
    )
    area.callback_query.register(debug_pressed, pressed, admin)
    return area
