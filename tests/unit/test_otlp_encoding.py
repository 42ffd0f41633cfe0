"""The OTLP encoder against the stock one: whatever is exported, both bodies say the same once they are parsed."""

from __future__ import annotations

import logging
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from app.telemetry.contract import FIELDS
from app.telemetry.entry import Entry
from app.telemetry.otlp.records import RecordEncoder
from app.telemetry.otlp.spans import SpanEncoder
from app.telemetry.redaction import MASK, Scrubber
from app.telemetry.spans import clean

SECRET = "hunter2-hunter2"
RESOURCE = Resource({"service.name": "test", "cores": 2}, "https://opentelemetry.io/schemas/1.36.0")
NOTHING_SECRET = Scrubber()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
int64 = st.integers(-(2**63), 2**63 - 1)
flat = st.booleans() | int64 | st.floats(allow_nan=False) | texts | st.binary(max_size=20) | st.none()
values = st.recursive(
    flat,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.filter(bool), inner, max_size=3),
    max_leaves=6,
)
# Few keys and few values beside the free ones: what comes twice is what the encoder remembers.
keys = st.sampled_from(["a", "b", "messaging.message.id"]) | texts.filter(bool)
attributes = st.dictionaries(keys, st.sampled_from([1, True, 1.0, "1", 0, False, ""]) | values, max_size=6)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    st.sampled_from([TraceState(), TraceState([("vendor", "value"), ("other", "1")])]),
)
finished: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=texts,
    kind=st.sampled_from(SpanKind),
    parent=st.none() | contexts,
    attributes=attributes,
    links=st.lists(st.builds(Link, contexts, attributes), max_size=2),
    status=st.sampled_from(StatusCode),
    start=st.integers(0, 2**63),
    end=st.integers(0, 2**63),
    scope=st.sampled_from(["tracegram", "aiogram", ""]),
)


class _Ended(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def ended(*told: dict[str, Any]) -> list[ReadableSpan]:
    """Spans as the SDK itself ends them."""
    processor = _Ended()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    for one in told:
        tracer = provider.get_tracer(
            one["scope"] or "unnamed", "1.2" if one["scope"] else None, "https://x.y"
        )
        parent = set_span_in_context(NonRecordingSpan(one["parent"] or INVALID_SPAN_CONTEXT), Context())
        span = tracer.start_span(
            one["name"], parent, one["kind"], one["attributes"], one["links"], start_time=one["start"]
        )
        span.set_status(Status(one["status"], "a text" if one["status"] is StatusCode.ERROR else None))
        span.end(one["end"])
    return processor.spans


@settings(max_examples=40)
@given(st.lists(finished, max_size=3))
def test_spans_say_the_same_as_from_the_stock_encoder(told: list[dict[str, Any]]) -> None:
    spans = ended(*told)
    ours = SpanEncoder(RESOURCE, NOTHING_SECRET.text)
    stock = encode_spans([clean(span, NOTHING_SECRET) for span in spans])
    for _ in range(2):  # from memory, it says the same
        parsed = ExportTraceServiceRequest.FromString(ours(spans))
        assert parsed.resource_spans[0].resource == STOCK_RESOURCE
        assert [*parsed.resource_spans[0].scope_spans] == [
            scope for part in stock.resource_spans for scope in part.scope_spans
        ]
        assert parsed.resource_spans[0].schema_url == RESOURCE.schema_url


EXAMPLE: dict[str, Any] = {
    "name": "work",
    "kind": SpanKind.INTERNAL,
    "parent": None,
    "attributes": {},
    "links": [],
    "status": StatusCode.UNSET,
    "start": 1,
    "end": 2,
    "scope": "tracegram",
}

STOCK_RESOURCE = encode_spans(ended(EXAMPLE)).resource_spans[0].resource

entries = st.builds(
    lambda at_ns, level, *rest: Entry(at_ns, level, logging.getLevelName(level), *rest),
    st.integers(0, 2**63),
    st.sampled_from([10, 20, 30, 40, 50]),
    st.sampled_from(["app.events", "aiogram"]) | texts,
    st.sampled_from(["UPDATE_RECEIVED", "DISPATCH_OK"]) | texts,
    # The contract has no field of this name: it would stand beside the logger's own.
    attributes.map(lambda fields: {key: value for key, value in fields.items() if key != "logger"}),
    st.sampled_from(["UPDATE_RECEIVED", "DISPATCH_OK", ""]),
    contexts | st.just(INVALID_SPAN_CONTEXT),
)


def stock_record(entry: Entry) -> ReadableLogRecord:
    record = LogRecord(
        timestamp=entry.at_ns,
        observed_timestamp=entry.at_ns,
        context=set_span_in_context(NonRecordingSpan(entry.context), Context()),
        severity_text=entry.level_name,
        severity_number=SeverityNumber({10: 5, 20: 9, 30: 13, 40: 17, 50: 21}[entry.level]),
        body=entry.body,
        attributes={"logger": entry.logger, **NOTHING_SECRET.attributes(entry.fields)},
        event_name=entry.event_name or None,
    )
    return ReadableLogRecord(record, RESOURCE, InstrumentationScope("tracegram"))


def test_no_field_of_an_event_is_called_as_an_attribute_of_the_record() -> None:
    assert "logger" not in FIELDS


@settings(max_examples=40)
@given(st.lists(entries, min_size=1, max_size=3))
def test_log_records_say_the_same_as_from_the_stock_encoder(told: list[Entry]) -> None:
    ours = RecordEncoder(RESOURCE, NOTHING_SECRET.text)
    stock = encode_logs([stock_record(entry) for entry in told])
    for _ in range(2):
        assert ExportLogsServiceRequest.FromString(ours(told)) == stock


def test_secrets_are_masked_wherever_a_text_is() -> None:
    link = Link(SpanContext(1, 2, False), {"of": SECRET})
    told = {
        **EXAMPLE,
        "name": f"ask {SECRET}",
        "attributes": {"key": SECRET, "deep": {"list": [f"a {SECRET}"]}},
        "links": [link],
    }
    scrubber = Scrubber([SECRET])
    encoder = SpanEncoder(RESOURCE, scrubber.text)
    for _ in range(2):
        body = encoder(ended(told, {**told, "status": StatusCode.ERROR}))
        assert SECRET.encode() not in body
        assert body.count(MASK.encode()) == 8

    entry = Entry(1, 20, "INFO", "app", f"say {SECRET}", {"key": SECRET}, "", INVALID_SPAN_CONTEXT)
    body = RecordEncoder(RESOURCE, scrubber.text)([entry])
    assert SECRET.encode() not in body
    assert body.count(MASK.encode()) == 2


def test_texts_of_statuses_and_exceptions_stay_out() -> None:
    (span,) = ended({**EXAMPLE, "status": StatusCode.ERROR})
    body = ExportTraceServiceRequest.FromString(SpanEncoder(RESOURCE, NOTHING_SECRET.text)([span]))
    (sent,) = body.resource_spans[0].scope_spans[0].spans
    assert (sent.status.code, sent.status.message, len(sent.events)) == (2, "", 0)


def test_what_otlp_has_no_place_for_costs_no_other_span() -> None:
    """A batch that holds half a surrogate pair was lost as a whole: the stock encoder raises."""
    odd = {**EXAMPLE, "name": "half \ud83d", "attributes": {"too large": 2**64, "half": "\ud83d", "fine": 1}}
    body = SpanEncoder(RESOURCE, NOTHING_SECRET.text)(ended(odd, EXAMPLE))
    parsed = ExportTraceServiceRequest.FromString(body)
    first, second = parsed.resource_spans[0].scope_spans[0].spans
    assert (first.name, second.name) == ("half ?", "work")
    assert {pair.key: pair.value.WhichOneof("value") for pair in first.attributes} == {
        "half": "string_value",
        "fine": "int_value",
    }


def test_what_is_remembered_does_not_grow_without_end() -> None:
    encoder = SpanEncoder(RESOURCE, NOTHING_SECRET.text)
    for start in range(0, 10_000, 500):
        told = [
            {**EXAMPLE, "name": f"n{n}", "attributes": {f"k{n}": f"v{n}"}} for n in range(start, start + 500)
        ]
        encoder(ended(*told))
    assert max(len(encoder._names), len(encoder._attributes._known), len(encoder._attributes._keys)) <= 4096
