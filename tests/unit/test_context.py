"""Trace context in and out of a database row: what was stored goes on, what is damaged begins anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, SpanContext, TraceFlags

from app.telemetry.context import continued, correlation_id, link_to, support_code, traceparent

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
STORED = f"00-{TRACE}-{SPAN}-01"

DAMAGED = [
    "",
    "nonsense",
    STORED[:-1],
    STORED.replace("4bf9", "4bgz"),
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{SPAN}-01",
]

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")


def test_a_span_is_continued_from_what_was_stored() -> None:
    parent = tracer.start_span("send")
    stored = traceparent(parent)
    child = tracer.start_span("process", context=continued(stored))
    assert child.get_span_context().trace_id == parent.get_span_context().trace_id
    assert child.parent.span_id == parent.get_span_context().span_id  # type: ignore[attr-defined]  # the SDK's


def test_what_is_stored_fits_its_column() -> None:
    context = SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=TraceFlags(1))
    assert traceparent(trace.NonRecordingSpan(context)) == STORED
    assert len(STORED) == 55


def test_no_span_stores_nothing() -> None:
    assert traceparent(INVALID_SPAN) == ""


@pytest.mark.parametrize("stored", DAMAGED)
def test_a_damaged_value_begins_a_new_trace(stored: str) -> None:
    with tracer.start_as_current_span("an update that must not become the parent") as current:
        child = tracer.start_span("process", context=continued(stored))
    assert child.parent is None  # type: ignore[attr-defined]  # the SDK's
    assert child.get_span_context().trace_id != current.get_span_context().trace_id
    assert link_to(stored) == []


@given(st.text(max_size=80))
def test_no_value_is_too_damaged(stored: str) -> None:
    continued(stored)
    assert link_to(stored) == []


def test_a_link_leads_to_what_was_stored() -> None:
    (link,) = link_to(STORED)
    assert trace.format_trace_id(link.context.trace_id) == TRACE
    assert trace.format_span_id(link.context.span_id) == SPAN


def test_the_correlation_id_is_the_trace_id() -> None:
    with tracer.start_as_current_span("update") as span:
        assert correlation_id() == trace.format_trace_id(span.get_span_context().trace_id)
    assert correlation_id() == ""
    assert correlation_id(span.get_span_context()) != ""
    assert correlation_id(link_to(STORED)[0].context) == TRACE


def test_the_support_code_is_the_start_of_the_correlation_id() -> None:
    assert support_code(TRACE) == "4BF9-2F35"
