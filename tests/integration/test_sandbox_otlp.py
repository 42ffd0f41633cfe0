"""What programs export to the sandbox stands beside the messages that it is about."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.kit.sandbox_client import ALICE, BORIS, Sandbox, running_sandbox

START_MS = 1_790_000_000_000
UPDATE, JOB, OTHER = "aa" * 16, "bb" * 16, "cc" * 16
CLIENT, CONSUMER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CONSUMER


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as box:
        yield box


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    def value(item: Any) -> AnyValue:
        if isinstance(item, bool):
            return AnyValue(bool_value=item)
        if isinstance(item, int):
            return AnyValue(int_value=item)
        if isinstance(item, float):
            return AnyValue(double_value=item)
        if isinstance(item, list):
            made = AnyValue()
            made.array_value.values.extend(value(part) for part in item)
            return made
        return AnyValue(string_value=item)

    return [KeyValue(key=key, value=value(item)) for key, item in attributes.items()]


def span(trace: str, number: int, name: str, parent: int = 0, **more: Any) -> Span:
    links = [Span.Link(trace_id=bytes.fromhex(link), span_id=b"\1" * 8) for link in more.get("links", [])]
    return Span(
        trace_id=bytes.fromhex(trace),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        kind=more.get("kind", Span.SPAN_KIND_INTERNAL),
        start_time_unix_nano=(START_MS + more.get("at", 0)) * 1_000_000,
        end_time_unix_nano=(START_MS + more.get("at", 0) + 10) * 1_000_000,
        attributes=pairs(more.get("attributes", {})),
        links=links,
    )


async def export(box: Sandbox, *spans: Span, resource: dict[str, Any] | None = None) -> None:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {"service.name": "bot"}))
    group.scope_spans.add().spans.extend(spans)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    body = gzip.compress(request.SerializeToString())
    async with box.http.post(f"{box.url}/v1/traces", data=body, headers=headers, compress=False) as response:
        assert (response.status, await response.read()) == (200, b"")


def failed(span: Span) -> Span:
    span.status.code = Status.STATUS_CODE_ERROR
    return span


def call_span(trace: str, number: int, message_id: int, **more: Any) -> Span:
    attributes = {"rpc.system.name": "telegram_bot_api", "telegram.message.id": message_id}
    return span(
        trace, number, "sendMessage", kind=CLIENT, attributes={**attributes, **more.pop("named", {})}, **more
    )


def update_span(trace: str, number: int, update_id: int) -> Span:
    attributes = {"messaging.system": "telegram", "messaging.message.id": str(update_id)}
    return span(trace, number, "process", kind=CONSUMER, attributes=attributes)


async def test_a_trace_belongs_to_what_caused_it_what_it_sent_and_what_is_linked(box: Sandbox) -> None:
    update_id = (await box.write("go"))["update_id"]
    await box.result("sendMessage", chat_id=ALICE, text="working")
    await box.result("sendMessage", chat_id=ALICE, text="done")
    await export(box, update_span(UPDATE, 1, update_id), call_span(UPDATE, 2, 2, parent=1, at=3))
    await export(box, span(JOB, 1, "job", links=[UPDATE], at=20), call_span(JOB, 2, 3, parent=1, at=25))
    await export(box, span(OTHER, 1, "unrelated", attributes={"telegram.message.id": 2}))
    chat = await box.chat()
    assert [message["trace_ids"] for message in chat] == [[UPDATE, JOB], [UPDATE, JOB], [JOB, UPDATE]]
    traces = await box.get("messages/3/traces")
    assert [trace["trace_id"] for trace in traces] == [JOB, UPDATE]
    assert traces[0]["linked_trace_ids"] == [UPDATE]
    assert traces[1]["linked_trace_ids"] == [JOB]
    await box.get("messages/9/traces", status=404)
    lines = await box.get("traces?limit=2")
    assert [(line["root"], line["span_count"]) for line in lines] == [("job", 2), ("process", 2)]


async def test_a_press_belongs_to_the_message_that_was_pressed(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="menu")
    press = {"message_id": 1, "callback_data": "x", "force": True}
    update_id = (await box.post(f"users/{ALICE}/presses", press))["update_id"]
    await export(box, update_span(UPDATE, 1, update_id))
    assert (await box.get("messages/1"))["trace_ids"] == [UPDATE]


async def test_a_whole_trace_is_shown(box: Sandbox) -> None:
    root = span(UPDATE, 1, "root", attributes={"n": 1, "f": float("nan"), "l": ["a", True], "s": "x" * 9000})
    root.status.code, root.status.message = Status.STATUS_CODE_ERROR, "went wrong"
    root.events.add(name="exception", time_unix_nano=(START_MS + 1) * 1_000_000).attributes.extend(
        pairs({"k": "v"})
    )
    child = span(UPDATE, 2, "child", parent=1, kind=CLIENT, links=[OTHER], at=5)
    await export(box, child, root)
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.trace_id, record.span_id = bytes.fromhex(UPDATE), (1).to_bytes(8, "big")
    record.time_unix_nano, record.severity_text, record.event_name = (
        (START_MS + 2) * 1_000_000,
        "WARN",
        "job.failed",
    )
    record.body.string_value = "it failed"
    record.attributes.extend(pairs({"reason": "TOO_LARGE"}))
    headers = {"Content-Type": "application/x-protobuf"}
    async with box.http.post(
        f"{box.url}/v1/logs", data=logs.SerializeToString(), headers=headers
    ) as response:
        assert response.status == 200
    async with box.http.post(f"{box.url}/v1/metrics", data=b"", headers=headers) as response:
        assert response.status == 200
    shown = await box.get(f"traces/{UPDATE}")
    plain = {"service": "bot", "duration_ms": 10.0, "attributes": {}, "events": [], "links": []}
    assert shown == {
        "trace_id": UPDATE,
        "root": "root",
        "start_ms": float(START_MS),
        "duration_ms": 15.0,
        "status": "error",
        "failed": 1,
        "running": False,
        "spans": [
            {
                **plain,
                "span_id": "0" * 15 + "1",
                "parent_span_id": None,
                "name": "root",
                "kind": "internal",
                "start_ms": float(START_MS),
                "status": "error",
                "status_message": "went wrong",
                "attributes": {"n": 1, "f": "nan", "l": ["a", True], "s": "x" * 8192},
                "events": [{"name": "exception", "at_ms": float(START_MS + 1), "attributes": {"k": "v"}}],
            },
            {
                **plain,
                "span_id": "0" * 15 + "2",
                "parent_span_id": "0" * 15 + "1",
                "name": "child",
                "kind": "client",
                "start_ms": float(START_MS + 5),
                "status": "unset",
                "status_message": "",
                "links": [{"trace_id": OTHER, "span_id": "01" * 8}],
            },
        ],
        "logs": [
            {
                "at_ms": float(START_MS + 2),
                "severity": "WARN",
                "body": "it failed",
                "event_name": "job.failed",
                "span_id": "0" * 15 + "1",
                "attributes": {"reason": "TOO_LARGE"},
            }
        ],
        "linked_trace_ids": [],
    }
    assert await box.get(f"traces/{OTHER}", status=404) == {"error": ANY}


async def test_a_trace_runs_until_the_parents_are_there_and_its_work_may_fail_under_a_good_root(
    box: Sandbox,
) -> None:
    async def line() -> tuple[bool, int, str]:
        (line,) = await box.get("traces")
        return line["running"], line["failed"], line["status"]

    await export(box, span(JOB, 1, "send job"))
    assert await line() == (False, 0, "unset")
    await export(box, failed(span(JOB, 3, "GET", parent=2, kind=CLIENT, at=5)))
    assert await line() == (True, 0, "unset")
    await export(box, failed(span(JOB, 2, "process job", parent=1, kind=CONSUMER, at=4)))
    assert await line() == (False, 1, "unset")
    shown = await box.get(f"traces/{JOB}")
    assert (shown["running"], shown["failed"]) == (False, 1)


async def test_the_page_hears_of_traces(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="x")
    async with box.http.get(f"{box.url}/sandbox/events") as stream:
        await stream.content.readuntil(b"connected\n\n")
        await export(box, call_span(UPDATE, 1, 1))
        assert await stream.content.readline() == b"event: trace\n"
        told = json.loads((await stream.content.readline()).removeprefix(b"data: "))
    assert told == {"trace_id": UPDATE, "message_ids": [1]}


async def test_a_listener_that_does_not_keep_up_is_cut_off(box: Sandbox) -> None:
    async with box.http.get(f"{box.url}/sandbox/events") as stream:
        await stream.content.readuntil(b"connected\n\n")
        await export(box, *(span(f"{number:032x}", 1, "s") for number in range(1, 1100)))
        assert (await stream.read()).count(b"event: trace") < 1000
    async with box.http.get(f"{box.url}/sandbox/events") as stream:
        await stream.content.readuntil(b"connected\n\n")
        await export(box, span(UPDATE, 1, "s"))
        assert await stream.content.readline() == b"event: trace\n"


async def test_a_traceparent_header_ties_a_trace_without_any_attribute(box: Sandbox) -> None:
    headers = {"traceparent": f"00-{UPDATE}-{'1' * 16}-01"}
    url = f"{box.url}/bot42:TEST-token/sendMessage"
    async with box.http.post(url, json={"chat_id": ALICE, "text": "x"}, headers=headers) as response:
        assert response.status == 200
    assert (await box.get("messages/1"))["trace_ids"] == []
    await export(box, span(UPDATE, 1, "anything"))
    assert (await box.get("messages/1"))["trace_ids"] == [UPDATE]


async def test_bots_with_equal_message_numbers_are_told_apart(box: Sandbox) -> None:
    for token in ("42:TEST-token", "43:other"):
        assert (await box.call("sendMessage", token=token, chat_id=BORIS, text="x"))["ok"]
    await export(box, call_span(UPDATE, 1, 1, named={"telegram.bot.id": 42}))
    await export(box, call_span(JOB, 1, 1))
    await export(box, call_span(OTHER, 1, 1), resource={"service.name": "b", "telegram.bot.id": 42})
    assert (await box.get("messages/1?bot_id=42"))["trace_ids"] == [UPDATE, OTHER]
    assert (await box.get("messages/1?bot_id=43"))["trace_ids"] == [JOB]


async def test_traces_are_bounded(box: Sandbox) -> None:
    await box.result("sendMessage", chat_id=ALICE, text="x")
    await export(box, call_span(UPDATE, 1, 1))
    await export(box, *(span(JOB, number, "s") for number in range(1, 501)))
    assert len((await box.get(f"traces/{JOB}"))["spans"]) == 400
    await export(box, *(span(f"{number:032x}", 1, "s") for number in range(1, 500)))
    assert len(await box.get("traces?limit=1000")) == 500
    await box.get(f"traces/{UPDATE}", status=404)
    assert (await box.get("messages/1"))["trace_ids"] == []
    await box.post("reset")
    assert await box.get("traces") == []
