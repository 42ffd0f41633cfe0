"""A dossier in words: reason and advice, what Tempo has, where the time went, and where to go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bot.dossier import Dossier
from app.bot.locales import LANGUAGES
from app.bot.middlewares.presses import TOO_LATE
from app.bot.telling import story_of
from app.errors import Reason
from app.telemetry.recorder import EventRecord, SpanRecord, TraceRecord
from app.traces.rows import JobFacts, UpdateFacts
from app.traces.tempo import Kept

CID, OTHER = "0a" * 16, "0c" * 16
DOOR: dict[str, Any] = {"messaging.system": "telegram", "messaging.message.id": "7"}


def trace(*events: EventRecord, linked: tuple[str, ...] = (), **attributes: Any) -> TraceRecord:
    span = SpanRecord(
        CID, "1", None, "process <message>", "consumer", 0, 9_000_000, "unset", DOOR | attributes, linked
    )
    return TraceRecord(CID, [span], [*events])


def facts(dossier: Dossier, language: str = "en") -> list[str]:
    story = story_of(language, dossier, "", "tracegram")
    assert story is not None
    return list(story.facts)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_advice(reason: Reason, language: str) -> None:
    told = facts(Dossier(CID, trace(reason_code=reason.value)), language)
    assert told[0] == f"💡 <b>{reason}</b>: {LANGUAGES[language][f'advice_{reason}']}"


def test_the_advice_for_an_instance_that_turned_it_away() -> None:
    told = facts(Dossier(CID, trace(reason_code="PASSIVE_REJECT")))
    assert told[0] == "💡 <b>PASSIVE_REJECT</b>: the bot was PASSIVE: ask to try again in 10 s."


def test_a_press_that_waited_too_long_has_an_advice_of_its_own() -> None:
    late = EventRecord(0, "CALLBACK_REJECTED", {"reason_code": "STATE_MISMATCH", "reason_text": TOO_LATE})
    assert facts(Dossier(CID, trace(late)))[0] == (
        "💡 <b>STATE_MISMATCH</b>: the press had waited too long: ask to press the button again."
    )


def test_a_reason_of_another_version_has_none() -> None:
    assert facts(Dossier(CID, trace(reason_code="NEW_ONE"))) == ["⏱ process &lt;message&gt; 9.0 ms (100 %)"]


@pytest.mark.parametrize(
    ("kept", "line"),
    [
        (Kept("kept", ("errors", "slow")), "🗄 Kept by policy <b>errors, slow</b>."),
        (Kept("kept", ("<b>",)), "🗄 Kept by policy <b>&lt;b&gt;</b>."),
        (Kept("kept"), "🗄 In Tempo."),
        (Kept("absent"), "🗄 Not in Tempo: sampled out, or not there yet."),
        (Kept("silent"), "🗄 Tempo does not answer."),
    ],
)
def test_what_tempo_has(kept: Kept, line: str) -> None:
    assert facts(Dossier(CID, trace(), kept=kept))[-1] == line


def test_without_tempo_nothing_is_said_of_it() -> None:
    assert not [line for line in facts(Dossier(CID, trace())) if "🗄" in line]


NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "line", "head"),
    [
        (
            UpdateFacts(7, "message", CID, "waiting", 0, NOW, "", "", "", None),
            "📥 update <code>7</code> (message): <b>waiting</b>",
            ("message", "waiting", "", False),
        ),
        (
            UpdateFacts(7, "message", CID, "waiting", 2, NOW, "app.bot.x", "error", "DB_ERROR", 31),
            "📥 update <code>7</code> (message): <b>waiting</b> · error · DB_ERROR · attempt 2 · 31 ms · x",
            ("message", "error, DB_ERROR", "31 ms", True),
        ),
        (
            UpdateFacts(7, "<kind>", CID, "set_aside", 10, NOW, "", "error", "INTERNAL_ERROR", 1200),
            "📥 update <code>7</code> (&lt;kind&gt;): <b>set_aside</b> · error · INTERNAL_ERROR · attempt 10 · 1.2 s",
            ("<kind>", "error, INTERNAL_ERROR", "1.2 s", True),
        ),
    ],
)
def test_an_update_s_row(row: UpdateFacts, line: str, head: tuple[str, str, str, bool]) -> None:
    story = story_of("en", Dossier(CID, update=row), "https://grafana.example", "tracegram")
    assert story is not None
    assert (story.line.what, story.line.outcome, story.line.duration, story.line.failed) == head
    assert line in story.facts
    assert "📭 No trace of it is kept any more; this is what its row says." in story.facts
    assert story.facts[-1].count("https://grafana.example/explore?") == 2
    assert (story.blocks, story.jumps, story.drawable) == ([], [], False)


@pytest.mark.parametrize(
    ("job", "line", "head"),
    [
        (JobFacts(1, CID, OTHER, "queued", 0, NOW, None, ""), "⚙️ job 1: <b>queued</b>", ("queued", "", False)),
        (JobFacts(1, CID, OTHER, "running", 2, NOW, None, ""), "⚙️ job 1: <b>running</b> · attempt 2", ("running", "", False)),
        (
            JobFacts(1, CID, OTHER, "done", 1, NOW, NOW + timedelta(seconds=5), "SUCCESS"),
            "⚙️ job 1: <b>done</b> · attempt 1 · 5.0 s",
            ("done", "5.0 s", False),
        ),
    ],
)  # fmt: skip
def test_a_job_s_row(job: JobFacts, line: str, head: tuple[str, str, bool]) -> None:
    story = story_of("en", Dossier(CID, jobs=(job,)), "", "tracegram")
    assert story is not None
    assert (story.line.outcome, story.line.duration, story.line.failed) == head
    assert line in story.facts
    assert story.jumps == [("📥 0c0c0c0c", OTHER)]


def test_the_jobs_of_an_update_lead_on() -> None:
    job = JobFacts(17, OTHER, CID, "failed", 3, NOW, NOW, "DOWNSTREAM_TIMEOUT")
    story = story_of("en", Dossier(CID, trace(), jobs=(job,)), "", "tracegram")
    assert story is not None
    assert (
        f"⚙️ job 17: <b>failed</b> · DOWNSTREAM_TIMEOUT · attempt 3 · 0.0 ms · <code>{OTHER}</code>"
        in story.facts
    )
    assert story.jumps == [("⚙️ 17 0c0c0c0c", OTHER)]


def test_the_ways_on() -> None:
    dossier = Dossier(CID, trace(linked=(OTHER, CID, OTHER)))
    story = story_of("en", dossier, "", "tracegram")
    assert story is not None
    assert story.jumps == [("🔗 0c0c0c0c", OTHER)]
    assert story.drawable


def test_the_traces_on_the_other_side_say_whose_they_are() -> None:
    other = replace(trace(EventRecord(0, "TASK_FAILED", {})), trace_id=OTHER)
    story = story_of("en", Dossier(CID, trace(), related=(other,)), "", "tracegram")
    assert story is not None
    spans = "<b>Spans</b> (* critical path, ! failed; total, self)"
    of_other = " · <b>process &lt;message&gt;</b> <code>0c0c0c0c</code>"
    assert [block.title for block in story.blocks] == [spans, f"<b>Events</b>{of_other}", spans + of_other]
