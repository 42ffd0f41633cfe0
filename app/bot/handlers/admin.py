"""/debug: the last traces of this process, and one of them as a waterfall. For anyone else it does not exist."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from app.bot import show
from app.bot.filters import IsAdmin, Pressed
from app.bot.registry import ButtonId, Press
from app.bot.screens import Screen
from app.bot.screens import debug as screens
from app.telemetry.context import correlation_id
from app.telemetry.recorder import Recorder, SpanRecord, TraceRecord
from app.telemetry.waterfall import duration, waterfall

_SHOWN = 8


async def debug(message: Message, command: CommandObject, recorder: Recorder, language: str) -> None:
    """`/debug` lists the last traces; with a trace ID or support code it shows that trace."""
    query = (command.args or "").strip()
    await show.answer(message, _one(recorder, language, query) if query else _last(recorder, language))


async def debug_pressed(query: CallbackQuery, press: Press, recorder: Recorder, language: str) -> None:
    """The same, by the buttons of its screens."""
    await show.acknowledge(query)
    listed = press.button is ButtonId.SHOW_TRACES
    await show.replace(
        query.message, _last(recorder, language) if listed else _one(recorder, language, press.argument)
    )


def _last(recorder: Recorder, language: str) -> Screen:
    asking = correlation_id()  # the trace of this very question has no outcome yet
    others = [trace for trace in recorder.recent(_SHOWN + 1) if trace.trace_id != asking]
    return screens.traces(language, [_line(trace) for trace in others[:_SHOWN]])


def _one(recorder: Recorder, language: str, query: str) -> Screen:
    found = recorder.find(query.replace("-", "").lower())
    if not found:
        return screens.not_found(language, query)
    if len(found) > 1:
        return screens.ambiguous(language, query, len(found))
    trace = found[0]
    return screens.trace(language, _line(trace), waterfall(trace), trace.linked_traces)


def _line(trace: TraceRecord) -> screens.TraceLine:
    root = trace.root
    last = next((span for span in reversed(trace.spans) if span.kind == "consumer"), root)
    return screens.TraceLine(
        cid=trace.trace_id,
        what=root.name.removeprefix("receive ").removeprefix("send "),
        outcome=_outcome(last),
        duration=duration(round(trace.duration_ms * 1e6)),
        failed=trace.failed,
    )


def _outcome(span: SpanRecord) -> str:
    outcome = (
        span.attributes.get("telegram.update.outcome") or span.attributes.get("job.outcome") or "under way"
    )
    reason = span.attributes.get("reason_code") or span.attributes.get("error.type")
    return f"{outcome}, {reason}" if reason else str(outcome)


def router(admin_ids: frozenset[int]) -> Router:
    """The router of this area."""
    area = Router(name="admin")
    admin = IsAdmin(admin_ids)
    area.message.register(debug, Command("debug"), admin)
    area.callback_query.register(debug_pressed, Pressed(ButtonId.SHOW_TRACES, ButtonId.SHOW_TRACE), admin)
    return area
