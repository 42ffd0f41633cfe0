"""Links that give no file: each gets one clear sentence and a support code that leads to the reason."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from app.errors import Reason
from tests.kit.bot import World, free_port, world
from tests.kit.telemetry import Captured

NOT_ALLOWED = "🚫 I may not open this address. Send a link to a public web page."
UNREACHABLE = "🔌 This link does not answer. Check it, or try again later."
TOO_LARGE = "🐘 This is larger than I may send in Telegram (1 MB)."
SLOW = "🐢 This took too long, so I stopped. Try again, or send a shorter one."

CASES = [
    ("http://127.0.0.1:1/x.mp3", NOT_ALLOWED, Reason.VALIDATION_FAILED),
    ("http://169.254.169.254/latest/meta-data/", NOT_ALLOWED, Reason.VALIDATION_FAILED),
    ("http://[::ffff:127.0.0.1]:1/x.mp3", NOT_ALLOWED, Reason.VALIDATION_FAILED),
    ("{media}/hostile/redirect-loopback", NOT_ALLOWED, Reason.VALIDATION_FAILED),
    ("{media}/hostile/redirect-metadata", NOT_ALLOWED, Reason.VALIDATION_FAILED),
    ("{media}/hostile/missing", UNREACHABLE, Reason.DOWNSTREAM_ERROR),
    ("http://{dead}/x.mp3", UNREACHABLE, Reason.DOWNSTREAM_ERROR),
    ("{media}/hostile/huge.mp4", TOO_LARGE, Reason.VALIDATION_FAILED),
    ("{media}/hostile/endless.mp3", TOO_LARGE, Reason.VALIDATION_FAILED),
    (
        "{media}/hostile/not-media.mp3",
        "📄 This file is not audio or video, whatever its name says.",
        Reason.VALIDATION_FAILED,
    ),
    ("{media}/hostile/stall.mp3", SLOW, Reason.DOWNSTREAM_TIMEOUT),
    ("{media}/", "🤷 I found no video or sound behind this link.", Reason.VALIDATION_FAILED),
]


@pytest.mark.parametrize(("link", "sentence", "reason"), CASES, ids=[case[0] for case in CASES])
async def test_a_bad_link_gets_one_sentence_and_leaves_nothing(
    telemetry: Captured,
    tmp_path: Path,
    media_samples: Path,
    monkeypatch: pytest.MonkeyPatch,
    link: str,
    sentence: str,
    reason: Reason,
) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    dead = f"127.0.0.1:{free_port()}"
    # Short only where it is the point: on a busy machine the downloader alone takes seconds to start.
    allowed: dict[str, Any] = {"max_file_mb": 1, "job_deadline_s": 4 if sentence == SLOW else 60}
    async with world(telemetry, tmp_path, media_samples=media_samples, also_allowed=dead, **allowed) as here:
        url = link.format(media=here.media, dead=dead)
        await here.alice.say(url)
        told = await here.alice.until(lambda m: "Support code" in (m["text"] or ""))
        await here.updates_done()
        code = re.fullmatch(
            re.escape(sentence) + r"\n\nSupport code: ([0-9A-F]{4}-[0-9A-F]{4})", told["text"]
        )
        assert code is not None, told["text"]
        assert len(await here.alice.chat()) == 2
        await _ended(telemetry)
        await _debug_gives_the_reason(here, code[1], reason)
        assert [path.name for path in temp.iterdir() if path.name.startswith("tracegram-job-")] == []
    job_cid = telemetry.cid_of("send jobs.download")
    assert job_cid.upper().startswith(code[1].replace("-", ""))
    (failed,) = [event for event in telemetry.events(job_cid) if event["name"] == "TASK_FAILED"]
    assert failed["reason_code"] == reason
    grown = telemetry.metrics()
    assert grown["bot.download.failure", (("error_type", reason), ("format", "mp3"))] == 1
    assert url not in telemetry.everything()


async def _ended(telemetry: Captured) -> None:
    """The user is told before the job's span ends."""
    async with asyncio.timeout(10):
        while not any(span.name == "process jobs.download" for span in telemetry.spans()):
            await asyncio.sleep(0.02)


async def _debug_gives_the_reason(here: World, code: str, reason: Reason) -> None:
    answer = await here.admin.answer_to(f"/debug {code}")
    assert f"failed, {reason}" in answer.splitlines()[0]


@pytest.mark.parametrize("link", ["http://user:password@example.org/", "http://example.org/" + "a" * 3000])
async def test_a_link_that_no_engine_may_see_is_refused_at_once(
    telemetry: Captured, tmp_path: Path, link: str
) -> None:
    async with world(telemetry, tmp_path) as here:
        answer = await here.alice.answer_to(link)
        await here.updates_done()
    cid = telemetry.cid_of("receive message")
    assert answer == f"{NOT_ALLOWED}\n\nSupport code: {cid[:4].upper()}-{cid[4:8].upper()}"
    assert "password" not in telemetry.everything()
