"""`tracegram demo --play`: the main job as a person would do it, by the sandbox's control API, judged at the end.

Prints the conversation, both waterfalls and the `/debug` answer; the verdict names everything that is missing.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

from app.telemetry.recorder import SpanRecord, TraceRecord
from app.telemetry.waterfall import waterfall

_USER = 1001
_PATIENCE_S = 60.0

Message = dict[str, Any]
Trace = dict[str, Any]

#: What must be in the trace of the update, and in that of its job: any span with that name or name's beginning.
UPDATE_SPANS = ("receive message", "process message", "handle link_received", "sendMessage", "INSERT")
JOB_SPANS = ("send jobs.download", "process jobs.download", "download", "UPDATE", "sendAudio")


class Play:
    """One performance. `session` talks to the sandbox."""

    def __init__(self, session: aiohttp.ClientSession, sample: str, admin: int) -> None:
        self._session = session
        self._sample = sample
        self._admin = admin
        self._missing: list[str] = []

    async def run(self) -> int:
        """Play it. Returns 0 when nothing was missing, else 1."""
        await self._say(_USER, "/start")
        await self._wait_for_bot(_USER, lambda m: bool(m["keyboard"]))
        started = time.monotonic()
        sent = await self._say(_USER, self._sample)
        result = await self._wait_for_bot(_USER, lambda m: bool(m["attachment"]))
        seconds = time.monotonic() - started
        await self._print_conversation()
        if result is None:
            print("\nthe file did not arrive")
            return 1
        print(f"\nthe file arrived after {seconds:.1f} s")
        await self._check_file(result)
        update, job = await self._check_traces(sent["message_id"])
        await self._check_debug(update, job)
        for fault in self._missing:
            print(f"MISSING  {fault}")
        print("the file arrived and the trace is whole" if not self._missing else "not whole")
        return 1 if self._missing else 0

    def _need(self, present: object, what: str) -> None:
        if not present:
            self._missing.append(what)

    async def _get(self, path: str) -> Any:
        async with self._session.get(path) as response:
            return await response.json()

    async def _say(self, user: int, text: str) -> Message:
        async with self._session.post(f"/sandbox/users/{user}/messages", json={"text": text}) as response:
            answer: Message = await response.json()
            return answer

    async def _messages(self, user: int) -> list[Message]:
        messages: list[Message] = (await self._get(f"/sandbox/users/{user}/messages"))["messages"]
        return messages

    async def _wait_for_bot(self, user: int, wanted: Any) -> Message | None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            for message in await self._messages(user):
                if message["author"] == "bot" and wanted(message):
                    return message
            await asyncio.sleep(0.1)
        return None

    async def _print_conversation(self) -> None:
        print("--- the conversation")
        for message in await self._messages(_USER):
            attachment = message["attachment"]
            file = f" [{attachment['kind']} {attachment['file_name']}]" if attachment else ""
            print(f"{message['author']:>5}: {message['text'] or ''}{file}".replace("\n", "\n       "))

    async def _check_file(self, result: Message) -> None:
        attachment = result["attachment"]
        async with self._session.get(attachment["url"]) as response:
            content = await response.read()
        self._need(content[:3] == b"ID3", "an mp3 with an ID3 tag")
        self._need(len(content) == attachment["file_size"], "the whole file")
        self._need(59 <= (attachment["duration"] or 0) <= 61, "the sample's 60 seconds")

    async def _check_traces(self, message_id: int) -> tuple[Trace, Trace]:
        traces: list[Trace] = []
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # spans arrive at the end of each export interval
            traces = await self._get(f"/sandbox/messages/{message_id}/traces")
            if (
                len(traces) >= 2
                and not _lacking(traces[0], UPDATE_SPANS)
                and not _lacking(traces[1], JOB_SPANS)
                and all(trace.get("logs") for trace in traces[:2])
            ):
                break
            await asyncio.sleep(0.2)
        for title, trace in zip(("update", "job"), traces, strict=False):
            print(f"\n--- the trace of the {title}: {trace['trace_id']}")
            print(*waterfall(_record(trace)), sep="\n")
        update, job = (*traces, {}, {})[:2]
        for trace, wanted, title in ((update, UPDATE_SPANS, "update"), (job, JOB_SPANS, "job")):
            for name in _lacking(trace, wanted):
                self._need(False, f"the span `{name}` in the trace of the {title}")
            self._need(trace.get("logs"), f"log lines in the trace of the {title}")
        if update and job:
            self._need(update["trace_id"] in job["linked_trace_ids"], "the link from the job to its update")
            named = [span["attributes"].get("job.trace_id") for span in update["spans"]]
            self._need(job["trace_id"] in named, "the job's trace ID in the trace of its update")
        return update, job

    async def _check_debug(self, update: Trace, job: Trace) -> None:
        if not update or not job:
            return
        await self._say(self._admin, "/debug")
        overview = await self._wait_for_bot(self._admin, lambda m: update["trace_id"] in (m["text"] or ""))
        await self._say(self._admin, f"/debug {job['trace_id']}")
        single = await self._wait_for_bot(self._admin, lambda m: "sendAudio" in (m["text"] or ""))
        print("\n--- /debug")
        print((overview or {}).get("text"))
        print(f"\n--- /debug {job['trace_id']}")
        print((single or {}).get("text"))
        self._need(overview and job["trace_id"] in overview["text"], "both traces in /debug")
        self._need(single, "the waterfall in /debug <cid>")


def _lacking(trace: Trace, wanted: tuple[str, ...]) -> list[str]:
    names = [span["name"] for span in trace.get("spans", [])]
    return [name for name in wanted if not any(found.lower().startswith(name.lower()) for found in names)]


def _record(trace: Trace) -> TraceRecord:
    """The sandbox's JSON as what the waterfall draws."""
    spans = [
        SpanRecord(
            trace_id=trace["trace_id"],
            span_id=span["span_id"],
            parent_id=span["parent_span_id"],
            name=span["name"],
            kind=span["kind"],
            start_ns=round(span["start_ms"] * 1e6),
            end_ns=round((span["start_ms"] + span["duration_ms"]) * 1e6),
            status=span["status"],
            attributes=span["attributes"],
        )
        for span in trace["spans"]
    ]
    return TraceRecord(trace["trace_id"], spans)
