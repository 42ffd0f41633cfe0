"""OTLP/HTTP in protobuf, read into the plain shapes that the trace store keeps.

The protobuf classes are imported at the first export only, because their import costs more than the rest of the
sandbox. Values are cut to a bounded size, and numbers that JSON does not know become text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from app.sandbox.state import Json

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

TEXT_LIMIT: Final = 8192
ITEMS_LIMIT: Final = 128
_SPAN_KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")


class MalformedOtlp(ValueError):
    """The body is not the protobuf message that this door takes."""


def read_traces(body: bytes) -> Iterator[tuple[str, Json, Json]]:
    """Give (trace id, span, resource attributes) for every span.

    Raises:
        MalformedOtlp: The body is no ExportTraceServiceRequest.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise MalformedOtlp from None
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        service = str(resource.get("service.name", "unknown"))
        for scope in group.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) == 16 and len(span.span_id) == 8:
                    yield span.trace_id.hex(), _span(span, service), resource


def read_logs(body: bytes) -> Iterator[tuple[str, Json]]:
    """Give (trace id, log line) for every log record that belongs to a trace.

    Raises:
        MalformedOtlp: The body is no ExportLogsServiceRequest.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise MalformedOtlp from None
    for group in request.resource_logs:
        for scope in group.scope_logs:
            for record in scope.log_records:
                if len(record.trace_id) == 16:
                    yield record.trace_id.hex(), _log(record)


def check_metrics(body: bytes) -> None:
    """Check that the body is metrics; nothing of them is kept.

    Raises:
        MalformedOtlp: The body is no ExportMetricsServiceRequest.
    """
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    try:
        ExportMetricsServiceRequest().ParseFromString(body)
    except DecodeError:
        raise MalformedOtlp from None


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def _span(span: Span, service: str) -> Json:
    return {
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "name": span.name[:TEXT_LIMIT],
        "kind": _name(_SPAN_KINDS, span.kind),
        "service": service,
        "start_ms": _ms(span.start_time_unix_nano),
        "duration_ms": _ms(max(0, span.end_time_unix_nano - span.start_time_unix_nano)),
        "status": _name(_STATUSES, span.status.code),
        "status_message": span.status.message[:TEXT_LIMIT],
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "name": event.name[:TEXT_LIMIT],
                "at_ms": _ms(event.time_unix_nano),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events[:ITEMS_LIMIT]
        ],
        "links": [
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()}
            for link in span.links[:ITEMS_LIMIT]
        ],
    }


def _log(record: LogRecord) -> Json:
    body = _value(record.body)
    return {
        "at_ms": _ms(record.time_unix_nano or record.observed_time_unix_nano),
        "severity": record.severity_text or "INFO",
        "body": body if isinstance(body, str) else str(body),
        "event_name": record.event_name or None,
        "span_id": record.span_id.hex(),
        "attributes": _attributes(record.attributes),
    }


def _attributes(pairs: Iterable[KeyValue]) -> Json:
    kept: Json = {}
    for pair in pairs:
        if len(kept) >= ITEMS_LIMIT:
            break
        kept[pair.key[:TEXT_LIMIT]] = _value(pair.value)
    return kept


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value[:TEXT_LIMIT]
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            number = value.double_value
            return number if math.isfinite(number) else str(number)
        case "bytes_value":
            return value.bytes_value[: TEXT_LIMIT // 2].hex()
        case "array_value":
            return [_value(item) for item in value.array_value.values[:ITEMS_LIMIT]]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case _:
            return None
