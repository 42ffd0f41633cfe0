"""A dossier in words: what the screen of one trace says, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from app.bot.dossier import Dossier
from app.bot.locales import say
from app.bot.middlewares.presses import TOO_LATE
from app.bot.screens.debug import Story, TraceLine
from app.bot.screens.grafana import loki_link, tempo_link
from app.bot.screens.pages import Block
from app.errors import Reason
from app.telemetry.critical import critical_path
from app.telemetry.recorder import TraceRecord
from app.telemetry.spantree import grow
from app.telemetry.story import chain, is_bad, outcome, title
from app.telemetry.waterfall import duration, longest_steps, waterfall
from app.traces.rows import JobFacts, UpdateFacts
from app.traces.tempo import Kept

_KEPT = {"kept": "debug_kept", "absent": "debug_absent", "silent": "debug_silent", "again": "debug_again"}


def line_of(trace: TraceRecord) -> TraceLine:
    """One trace in short."""
    took = duration(round(trace.duration_ms * 1e6))
    return TraceLine(trace.trace_id, title(trace), outcome(trace), took, is_bad(trace))


def story_of(language: str, dossier: Dossier, grafana: str, service: str) -> Story | None:
    """All that is known; None when nothing is."""
    line = line_of(dossier.trace) if dossier.trace else _line_of_rows(dossier)
    if line is None:
        return None
    traces = [dossier.trace, *dossier.related] if dossier.trace else dossier.related
    blocks = [
        block for trace in traces for block in _blocks(language, trace, other=trace is not dossier.trace)
    ]
    facts = _facts(language, dossier, grafana, service)
    return Story(line, list(facts), blocks, _jumps(dossier), drawable=dossier.trace is not None)


def _line_of_rows(dossier: Dossier) -> TraceLine | None:
    """What the rows say, when no trace was recorded or it is too old."""
    row = dossier.update
    if row is not None:
        took = "" if row.duration_ms is None else duration(row.duration_ms * 1_000_000)
        ended = ", ".join(filter(None, (row.outcome or row.state, _trouble(row.reason))))
        return TraceLine(dossier.cid, row.kind, ended, took, row.outcome in ("error", "rejected"))
    for job in dossier.jobs:
        ended = ", ".join(filter(None, (job.state, _trouble(job.reason))))
        return TraceLine(dossier.cid, "jobs.download", ended, _lasted(job), job.state == "failed")
    return None


def _facts(language: str, dossier: Dossier, grafana: str, service: str) -> Iterator[str]:
    """Lines of HTML: reason and advice, then the rows behind the trace, then where else it is."""
    reason = (dossier.trace.reason if dossier.trace else "") or _reason_of_rows(dossier)
    if reason in set(Reason):
        advice = say(language, f"advice_{_advice(reason, dossier.trace)}")
        yield say(language, "debug_reason", reason=reason, advice=advice)
    if dossier.trace is None:
        yield say(language, "debug_no_trace")
    if dossier.update is not None:
        yield _told_update(language, dossier.update)
    for job in dossier.jobs:
        yield _told_job(language, job, itself=job.cid == dossier.cid)
    if dossier.trace is not None and (steps := longest_steps(critical_path(grow(dossier.trace.spans)))):
        yield say(language, "debug_critical", steps=escape(steps))
    if dossier.kept is not None:
        yield _told_kept(language, dossier.kept)
    if grafana and (links := _links(dossier, grafana, service)):
        yield " · ".join(f'<a href="{escape(url)}">{caption}</a>' for caption, url in links)


def _reason_of_rows(dossier: Dossier) -> str:
    """Of its own row; an update's jobs have traces of their own."""
    own = [
        row.reason for row in (dossier.update, *dossier.jobs) if row is not None and row.cid == dossier.cid
    ]
    return own[0] if own else ""


def _advice(reason: str, trace: TraceRecord | None) -> str:
    """The same reason has another advice for a press that came too late."""
    told = [event.fields.get("reason_text") for event in trace.events] if trace else []
    return f"{reason}_late" if TOO_LATE in told else reason


def _told_update(language: str, row: UpdateFacts) -> str:
    told = [
        row.outcome,
        _trouble(row.reason),
        say(language, "debug_attempts", n=str(row.attempts)) if row.attempts else "",
        "" if row.duration_ms is None else duration(row.duration_ms * 1_000_000),
        row.handler.rpartition(".")[2],
    ]
    return say(
        language,
        "debug_update",
        number=str(row.update_id),
        kind=escape(row.kind),
        state=row.state,
        told=_joined(told),
    )


def _told_job(language: str, job: JobFacts, *, itself: bool) -> str:
    told = [
        _trouble(job.reason),
        say(language, "debug_attempts", n=str(job.attempts)) if job.attempts else "",
        _lasted(job),
    ]
    line = say(language, "debug_job", number=str(job.job_id), state=job.state, told=_joined(told))
    return line if itself else f"{line} · <code>{job.cid}</code>"


def _trouble(reason: str) -> str:
    """A reason that is worth a word: not that all went well."""
    return "" if reason == Reason.SUCCESS else reason


def _joined(told: list[str]) -> str:
    return "".join(f" · {escape(part)}" for part in told if part)


def _lasted(job: JobFacts) -> str:
    """From the queue to the end."""
    return (
        duration(round((job.finished_at - job.created_at).total_seconds() * 1e9)) if job.finished_at else ""
    )


def _told_kept(language: str, kept: Kept) -> str:
    if kept.policies:
        return say(language, "debug_kept_by", policy=escape(", ".join(kept.policies[:3])))
    return say(language, _KEPT[kept.state])


def _links(dossier: Dossier, grafana: str, service: str) -> list[tuple[str, str]]:
    began = dossier.began
    if dossier.trace is not None:
        started_ms = dossier.trace.root.start_ns // 1_000_000
    elif began is not None:
        started_ms = round(began.timestamp() * 1000)
    else:
        return []
    return [
        ("Tempo", tempo_link(grafana, dossier.cid, started_ms)),
        ("Loki", loki_link(grafana, dossier.cid, service, started_ms)),
    ]


def _blocks(language: str, trace: TraceRecord, *, other: bool) -> Iterator[Block]:
    of = f" · <b>{escape(title(trace)[:40])}</b> <code>{trace.trace_id[:8]}</code>" if other else ""
    if trace.events:
        yield Block(say(language, "debug_chain") + of, chain(trace))
    yield Block(say(language, "debug_waterfall") + of, waterfall(trace))


def _jumps(dossier: Dossier) -> list[tuple[str, str]]:
    """The traces to go on to: jobs of an update, the update of a job, and whatever else is linked."""
    jumps: dict[str, str] = {}
    for job in dossier.jobs:
        jumps.setdefault(job.cid, f"⚙️ {job.job_id}")
        jumps.setdefault(job.created_by, "📥")
    for linked in dossier.trace.linked_traces if dossier.trace else ():
        jumps.setdefault(linked, "🔗")
    jumps.pop(dossier.cid, None)
    return [(f"{mark} {cid[:8]}", cid) for cid, mark in jumps.items() if cid]
