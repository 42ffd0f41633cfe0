"""The main job: a link goes in at Telegram's end; a file, two traces, log lines and metrics come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id

from tests.kit.bot import world
from tests.kit.telemetry import Captured, attributes

CID = "cid "


async def test_a_link_becomes_a_file_in_the_chat(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        link = f"{here.media}/watch/sample"
        await here.alice.say(f"please: {link} thanks")
        result = await here.alice.until(lambda m: m["attachment"])
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        job_cid = telemetry.cid_of("send jobs.download")
        update_cid = telemetry.cid_of("receive message")

        assert await here.alice.texts() == [
            ("user", f"please: {link} thanks"),
            ("bot", "✅ Done: here is your mp3."),
            ("bot", f"cid {job_cid}"),
        ]
        attachment = result["attachment"]
        assert {k: attachment[k] for k in ("kind", "file_name", "mime_type", "duration", "title")} == {
            "kind": "audio",
            "file_name": "Sixty seconds of Tracegram.mp3",
            "mime_type": "audio/mpeg",
            "duration": 60,
            "title": "Sixty seconds of Tracegram",
        }
        async with here.sandbox.get(attachment["url"]) as response:
            content = await response.read()
        assert content[:3] == b"ID3"
        assert len(content) == attachment["file_size"]
        assert update_cid != job_cid


async def test_every_step_of_it_is_in_two_linked_traces(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        sent = await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
    update_cid = telemetry.cid_of("receive message")
    job_cid = telemetry.cid_of("send jobs.download")

    assert telemetry.tree(update_cid) == [
        "receive message",
        "  process message",
        "    handle link_received",
        "      sendMessage",
        "      connect",
        "      BEGIN",
        "      INSERT",
        "      UPDATE",  # the inbox: the update is done in the transaction that queues the job
    ]
    names = telemetry.tree(job_cid)
    # How often progress is shown depends on how fast the machine is.
    assert [name for name in names if name.strip() != "editMessageText"] == [
        "send jobs.download",
        "  process jobs.download",
        "    download",
        "    sendAudio",
        "    connect",
        "    BEGIN",
        "    UPDATE",
    ]
    assert names.count("    editMessageText") >= 2  # uploading, done

    spans = {span.name: span for span in telemetry.trace(update_cid) + telemetry.trace(job_cid)}
    assert all(span.status.status_code is not StatusCode.ERROR for span in spans.values())
    process = attributes(spans["process message"])
    assert process == {
        "messaging.system": "telegram",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "message",
        "messaging.message.id": str(sent["update_id"]),
        "telegram.update.type": "message",
        "telegram.update.outcome": "handled",
        "telegram.handler": "app.bot.handlers.link.link_received",
        "telegram.router": "link",
    }
    assert attributes(spans["process jobs.download"]) == {
        "messaging.system": "tracegram",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs.download",
        "messaging.message.id": "1",
        "job.attempt": 1,
        "job.format": "mp3",
        "job.outcome": "done",
    }
    # The update names the job's trace, and each links to the other.
    handle = spans["handle link_received"]
    assert (handle.attributes or {})["job.trace_id"] == job_cid
    assert [format_trace_id(link.context.trace_id) for link in handle.links] == [job_cid]
    for name in ("send jobs.download", "process jobs.download"):
        assert [format_trace_id(link.context.trace_id) for link in spans[name].links] == [update_cid]
        assert spans[name].links[0].context.span_id == handle.context.span_id
    kinds = {name: span.kind for name, span in spans.items()}
    assert kinds["process message"] is kinds["process jobs.download"] is SpanKind.CONSUMER
    assert kinds["sendMessage"] is kinds["sendAudio"] is kinds["INSERT"] is SpanKind.CLIENT
    assert kinds["send jobs.download"] is SpanKind.PRODUCER


async def test_events_and_log_lines_carry_the_ids_of_both_traces(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        sent = await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
    update_cid = telemetry.cid_of("receive message")
    job_cid = telemetry.cid_of("send jobs.download")
    update = {"update_id": sent["update_id"], "update_type": "message"}
    expected_update: list[dict[str, Any]] = [
        {"name": "UPDATE_RECEIVED", **update, "door": "polling", "bot_state": "ACTIVE"},
        {"name": "UI_RENDER", "screen_id": "PROCESSING", "buttons_count": 0},
        {"name": "TASK_CREATED", "job_id": 1, "job_cid": job_cid},
        {"name": "DISPATCH_OK", **update, "outcome": "handled"},
    ]
    expected_job = [
        {"name": "TASK_STARTED", "job_id": 1, "attempt": 1},
        {"name": "TASK_COMPLETED", "job_id": 1, "reason_code": "SUCCESS"},
    ]

    def without(records: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
        return [{k: v for k, v in record.items() if k not in names} for record in records]

    assert without(telemetry.events(update_cid), "logger", "latency_ms") == expected_update
    assert without(telemetry.events(job_cid), "logger") == expected_job
    lines = telemetry.lines()
    for cid, expected in ((update_cid, expected_update), (job_cid, expected_job)):
        mine = [line for line in lines if line.get("cid") == cid and line["level"] != "DEBUG"]
        assert [line["message"] for line in mine] == [event["name"] for event in expected]
        span_ids = {f"{span.context.span_id:016x}" for span in telemetry.trace(cid)}
        assert all(line["trace_id"] == cid and line["span_id"] in span_ids for line in mine)


async def test_metrics_of_it_at_the_endpoint(
    telemetry: Captured, tmp_path: Path, media_samples: Path
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        await here.alice.say(f"{here.media}/watch/sample")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        async with here.web.get("/metrics") as response:
            text = await response.text()
            assert response.headers["Content-Type"].startswith("text/plain; version=")
        async with here.web.get(
            "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
        ) as response:
            open_metrics = await response.text()
    mp3, calls, engine = ("format", "mp3"), telemetry.metrics(), ("engine", "yt-dlp")
    for ours in ("bot.api.", "bot.db.", "bot.event."):  # how many there are is chance
        calls = {series: grown for series, grown in calls.items() if not series[0].startswith(ours)}
    assert calls == {
        ("bot.updates", (("outcome", "handled"), ("update_type", "message"))): 1,
        ("bot.update.latency", (("outcome", "handled"), ("update_type", "message"))): 1,
        ("bot.update.receive.lag", (("update_type", "message"),)): 1,
        ("bot.handler.latency", (("handler", "app.bot.handlers.link.link_received"),)): 1,
        ("bot.format.requests", (mp3, ("quality", "192k"))): 1,
        ("bot.queue.wait.time", (("priority", "normal"),)): 1,
        ("bot.download.duration", (mp3, ("quality", "192k"))): 1,
        ("bot.download.success", (mp3, ("quality", "192k"))): 1,
        ("bot.jobs", (engine, ("outcome", "done"))): 1,
        ("process.cpu.time", ()): calls["process.cpu.time", ()],
    }
    for series in (
        'bot_update_latency_seconds_bucket{le="+Inf",outcome="handled",update_type="message"}',
        'bot_updates_total{outcome="handled",update_type="message"}',
        'bot_download_success_total{format="mp3",quality="192k"}',
        'bot_api_request_duration_seconds_bucket{le="+Inf",method="sendAudio",outcome="ok"} ',
        'bot_queue_depth{priority="normal"} 0.0',
        'bot_db_pool_connections{state="used"}',
        "bot_active_users ",
        "bot_daily_active_users ",
        "bot_monthly_active_users ",
        "bot_uptime_seconds ",
    ):
        assert series in text
    assert open_metrics.endswith("# EOF\n")


async def test_russian_for_a_russian(telemetry: Captured, tmp_path: Path, media_samples: Path) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        await here.boris.say(f"{here.media}/sample.mp3")
        await here.boris.until(lambda m: m["text"] == "✅ Готово: вот ваш mp3.")
        assert await here.boris.answer_to("привет") == (
            "Пришлите ссылку на видео или песню, и я отправлю вам звук в формате mp3."
        )


async def test_the_same_on_either_database(
    telemetry: Captured, tmp_path: Path, media_samples: Path, database_url: str
) -> None:
    async with world(telemetry, tmp_path, media_samples=media_samples, database_url=database_url) as here:
        await here.alice.say(f"{here.media}/sample.mp3")
        await here.alice.until(lambda m: m["attachment"])
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
    statements = [span for span in telemetry.spans() if "db.system.name" in (span.attributes or {})]
    system = database_url.split("+")[0]
    assert {(span.attributes or {})["db.system.name"] for span in statements} == {system}
    # Values are bound, and so never in a statement; a password is nowhere.
    assert not any(here.media in str(span.attributes) for span in statements)
    assert {span.name for span in statements} >= {"INSERT", "UPDATE"}


async def test_a_bucket_names_a_trace_that_was_counted_in_it(
    telemetry: Captured, tmp_path: Path, media_samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.telemetry.series._HELD_NS", 0)  # those of the tests before have had their time
    open_metrics_only = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with world(telemetry, tmp_path, media_samples=media_samples) as here:
        await here.alice.say(f"{here.media}/sample.mp3")
        await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.")
        await here.updates_done()
        scrapes = []
        for _ in range(2):  # the second scraper finds them too
            async with here.web.get("/metrics", headers=open_metrics_only) as response:
                scrapes.append(await response.text())
        async with here.web.get("/metrics") as response:
            assert "trace_id" not in await response.text()  # the old text format has no place for them
    update, job = telemetry.cid_of("receive message"), telemetry.cid_of("send jobs.download")
    expected = {
        ("bot_update_latency_seconds_bucket", update),
        ("bot_updates_total", update),
        ("bot_download_duration_seconds_bucket", job),
        ("bot_download_success_total", job),
    }
    for scrape in scrapes:
        lines = [line for line in scrape.splitlines() if 'trace_id="' in line]
        # Other buckets may still name traces of earlier tests.
        named = {(line.split("{")[0], line.split('trace_id="')[1][:32]) for line in lines}
        assert expected <= named
