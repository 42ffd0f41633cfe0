"""The smallest bot there can be: a test tells it each Bot API call, and which spans it exports for it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@dataclass(frozen=True, slots=True)
class Step:
    """One span, told in milliseconds after the trace began; `parent` is the index of another step."""

    name: str
    kind: str = "internal"
    parent: int | None = None
    start_ms: float = 0.0
    duration_ms: float = 10.0
    attributes: dict[str, str | int] = field(default_factory=dict)
    error: str | None = None
    link: str | None = None


def bot_api_step(method: str, message_id: int, parent: int, **changed: Any) -> Step:
    """The CLIENT span of the Bot API call that sent or edited the message."""
    attributes: dict[str, str | int] = {
        "rpc.system.name": "telegram_bot_api",
        "rpc.method": method,
        "telegram.message.id": message_id,
    }
    return Step(method, "client", parent, attributes=attributes, **changed)


def _attributes(values: dict[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(
            key=key,
            value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value),
        )
        for key, value in values.items()
    ]


def _span_id(index: int) -> bytes:
    return (index + 1).to_bytes(8, "big")


def _span(trace_id: str, index: int, step: Step, began_ns: int) -> Span:
    start = began_ns + int(step.start_ms * 1e6)
    span = Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=_span_id(index),
        parent_span_id=b"" if step.parent is None else _span_id(step.parent),
        name=step.name,
        kind=KINDS[step.kind],  # type: ignore[arg-type]
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(step.duration_ms * 1e6),
        attributes=_attributes(step.attributes),
    )
    if step.error is not None:
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=step.error))
    if step.link is not None:
        span.links.add(trace_id=bytes.fromhex(step.link), span_id=_span_id(0))
    return span


class ScriptedBot:
    """Speaks the Bot API and OTLP to the sandbox with nothing but an HTTP client."""

    def __init__(self, session: aiohttp.ClientSession, token: str = "42:scripted") -> None:
        self._session = session
        self._token = token
        self._offset = 0

    async def attempt(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method; gives the whole envelope, be it an error."""
        async with self._session.post(f"/bot{self._token}/{method}", json=params) as response:
            envelope: dict[str, Any] = await response.json()
            return envelope

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method; gives its result."""
        envelope = await self.attempt(method, **params)
        assert envelope["ok"], envelope
        return envelope["result"]

    async def upload(
        self, method: str, field_name: str, content: bytes, file_name: str, **params: Any
    ) -> Any:
        """Call a method that takes a file."""
        form = aiohttp.FormData()
        for name, value in params.items():
            form.add_field(name, value if isinstance(value, str) else json.dumps(value))
        form.add_field(field_name, content, filename=file_name)
        async with self._session.post(f"/bot{self._token}/{method}", data=form) as response:
            envelope = await response.json()
            assert envelope["ok"], envelope
            return envelope["result"]

    async def next_update(self) -> dict[str, Any]:
        """Wait for the next update and confirm it."""
        updates = await self.call("getUpdates", offset=self._offset, limit=1, timeout=10)
        assert updates, "no update came within 10 s"
        self._offset = updates[0]["update_id"] + 1
        await self.call("getUpdates", offset=self._offset, limit=1, timeout=0)
        update: dict[str, Any] = updates[0]
        return update

    async def export(self, trace_id: str, steps: dict[int, Step], *, began_s: float | None = None) -> None:
        """Send spans; the keys of `steps` are their indexes, so that a trace can come in several parts."""
        began_ns = int((began_s or time.time()) * 1e9)
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(_attributes({"service.name": "scripted"}))
        resource.scope_spans.add().spans.extend(
            _span(trace_id, index, step, began_ns) for index, step in steps.items()
        )
        await self._post("/v1/traces", request.SerializeToString())

    async def export_log(self, trace_id: str, index: int, body: str, severity: str = "INFO") -> None:
        """Send one log line of the span with that index."""
        request = ExportLogsServiceRequest()
        request.resource_logs.add().scope_logs.add().log_records.append(
            LogRecord(
                time_unix_nano=time.time_ns(),
                severity_text=severity,
                severity_number={"INFO": 9, "WARN": 13, "ERROR": 17}[severity],  # type: ignore[arg-type]
                body=AnyValue(string_value=body),
                trace_id=bytes.fromhex(trace_id),
                span_id=_span_id(index),
            )
        )
        await self._post("/v1/logs", request.SerializeToString())

    async def _post(self, path: str, body: bytes) -> None:
        async with self._session.post(path, data=body, headers=PROTOBUF) as response:
            assert response.status == 200, await response.text()
