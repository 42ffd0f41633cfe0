"""Finished spans as the bytes of an `ExportTraceServiceRequest`. Secrets are masked here, once.

Texts of statuses and of exceptions (span events) stay out: drivers put data into those. Field numbers:
opentelemetry-proto, `trace/v1/trace.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext

from app.telemetry.otlp.wire import Pairs, encoded, sized, varint

#: Span and link flags: whether the parent came from another process is known, and whether it did.
_LOCAL, _REMOTE = (0x100).to_bytes(4, "little"), (0x300).to_bytes(4, "little")
#: Field `status` by code: unset, ok, error. Without a text.
_STATUSES = (b"\x7a\x00", b"\x7a\x02\x18\x01", b"\x7a\x02\x18\x02")
_NAMES_REMEMBERED = 1024


class SpanEncoder:
    """Encodes the spans of one resource. Use it from one thread at a time."""

    def __init__(self, resource: Resource, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._attributes = Pairs(b"\x4a", scrub)
        self._link_attributes = Pairs(b"\x22", scrub)
        self._names: dict[str, bytes] = {}
        self._resource = encoded_resource(resource, scrub)
        self._schema = encoded_schema(b"\x1a", resource.schema_url)

    def __call__(self, spans: Sequence[ReadableSpan]) -> bytes:
        """Encode a batch, grouped by what made the spans."""
        scopes: dict[int, tuple[InstrumentationScope | None, list[bytes]]] = {}
        for span in spans:
            scope = span._instrumentation_scope
            group = scopes.get(id(scope))
            if group is None:
                group = scopes[id(scope)] = (scope, [])
            group[1].append(sized(b"\x12", self._span(span)))
        parts = [self._resource]
        for scope, encoded_spans in scopes.values():
            content = [encoded_scope(scope, self._scrub), *encoded_spans]
            if scope is not None:
                content.append(encoded_schema(b"\x1a", scope.schema_url))
            parts.append(sized(b"\x12", b"".join(content)))
        parts.append(self._schema)
        return sized(b"\x0a", b"".join(parts))

    def _span(self, span: ReadableSpan) -> bytes:
        # The properties of a span copy what they give; the fields behind them are read, once each.
        trace_id, span_id, _, _, state, _ = span._context or INVALID_SPAN_CONTEXT
        parent, attributes = span._parent, span._attributes
        fields = [
            b"\x0a\x10%b\x12\x08%b%b\x30%b\x39%b\x41%b\x85\x01%b"
            % (
                trace_id.to_bytes(16, "big"),
                span_id.to_bytes(8, "big"),
                self._names.get(span._name) or self._name(span._name),
                varint(span._kind._value_ + 1),
                (span._start_time or 0).to_bytes(8, "little"),
                (span._end_time or 0).to_bytes(8, "little"),
                _flags(parent),
            ),
            _STATUSES[span._status._status_code._value_],
        ]
        if parent is not None:
            fields.append(b"\x22\x08" + parent.span_id.to_bytes(8, "big"))
        self._attributes.add(plain(attributes), fields)
        if state:
            told = ",".join(f"{key}={value}" for key, value in state.items())
            fields.append(sized(b"\x1a", encoded(self._scrub(told))))
        if dropped := getattr(attributes, "dropped", 0):
            fields.append(b"\x50" + varint(dropped))
        if span._links:
            fields.extend(sized(b"\x6a", self._link(link)) for link in span._links)
            if span.dropped_links:
                fields.append(b"\x70" + varint(span.dropped_links))
        return b"".join(fields)

    def _link(self, link: Link) -> bytes:
        context = link.context
        ids = b"\x0a\x10%b\x12\x08%b\x35%b" % (
            context.trace_id.to_bytes(16, "big"),
            context.span_id.to_bytes(8, "big"),
            _flags(context),
        )
        return ids + self._link_attributes.encode(link.attributes or {})

    def _name(self, name: str) -> bytes:
        if len(self._names) >= _NAMES_REMEMBERED:
            self._names.clear()
        field = self._names[name] = sized(b"\x2a", encoded(self._scrub(name)))
        return field


def plain(attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The dict inside the SDK's attributes, which is not copied: those of a finished span change no more."""
    return getattr(attributes, "_dict", attributes) or {}


def encoded_resource(resource: Resource, scrub: Callable[[str], str]) -> bytes:
    """The field `resource` of the spans or records of one resource."""
    return sized(b"\x0a", Pairs(b"\x0a", scrub).encode(resource.attributes))


def encoded_schema(tag: bytes, url: str | None) -> bytes:
    """A field with the address of a schema, or nothing."""
    return sized(tag, encoded(url)) if url else b""


def encoded_scope(scope: InstrumentationScope | None, scrub: Callable[[str], str]) -> bytes:
    """The field `scope`: what made the spans or records."""
    if scope is None:
        return b"\x0a\x00"
    name = sized(b"\x0a", encoded(scope.name))
    version = sized(b"\x12", encoded(scope.version)) if scope.version else b""
    return sized(b"\x0a", name + version + Pairs(b"\x1a", scrub).encode(scope.attributes or {}))


def _flags(context: SpanContext | None) -> bytes:
    return _REMOTE if context is not None and context.is_remote else _LOCAL
