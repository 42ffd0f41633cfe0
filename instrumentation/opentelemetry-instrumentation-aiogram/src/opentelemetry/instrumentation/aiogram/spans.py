"""The life of a span around one awaited call: opened, made current, described by its result, ended.

A span that would record nothing and identify nothing is not made current, so that a no-op tracer hides no span of others.
"""

from collections.abc import Mapping
from contextvars import Token
from time import perf_counter

from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    attach,
    detach,
    get_current,
)
from opentelemetry.instrumentation.aiogram.safety import swallow
from opentelemetry.instrumentation.aiogram.semconv import ERROR_TYPE, qualified_name
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

AttributeValue = str | int | float
Attributes = Mapping[str, AttributeValue]

# No description: texts of exceptions quote messages, chat ids and URLs with the token in them.
_ERROR = Status(StatusCode.ERROR)
# The older key, which some set: `opentelemetry.instrumentation.utils` respects it, too.
_SUPPRESS_PLAIN = "suppress_instrumentation"


class Opened:
    """A span that was started, and the context in which it is the current one."""

    __slots__ = ("context", "span")

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.context = context


def open_span(
    tracer: Tracer, name: str, kind: SpanKind, attributes: Attributes, *, metered: bool
) -> Opened | None:
    """Start a span; None when there is nothing to trace and, unless `metered`, nothing to measure."""
    current = get_current()
    if current and (current.get(_SUPPRESS_INSTRUMENTATION_KEY) or current.get(_SUPPRESS_PLAIN)):
        return None
    span = tracer.start_span(name, current, kind, attributes)
    if span.is_recording() or span.get_span_context() != get_current_span(current).get_span_context():
        return Opened(span, set_span_in_context(span, current))
    return Opened(span, current) if metered else None


class Scope:
    """One open span, current until `finish`; subclasses say what a result or an error means."""

    __slots__ = ("_token", "span", "started")

    def __init__(self, opened: Opened) -> None:
        self.span = opened.span
        self.started = perf_counter()
        self._token: Token[Context] = attach(opened.context)

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record what came of the call. Also called when a sampler has dropped the span."""
        raise NotImplementedError

    def mark_failed(self, error: type[BaseException]) -> None:
        """Record the class of an error, never its text."""
        mark_failed(self.span, error)

    def leave(self) -> None:
        """Make the span before this one current again."""
        detach(self._token)

    def finish(self, result: object, error: BaseException | None) -> None:
        """Describe and end the span."""
        try:
            try:
                self.describe(result, error)
            finally:
                # A coroutine that is thrown away is closed in some other context, where a token is worth nothing.
                if error is None or not isinstance(error, GeneratorExit):
                    self.leave()
                # Last, since a span processor may raise.
                self.span.end()
        except Exception as failure:
            swallow(f"{type(self).__qualname__}.finish", failure)


def mark_failed(span: Span, error: type[BaseException]) -> None:
    """Record the class of an error, never its text."""
    if span.is_recording():
        span.set_attribute(ERROR_TYPE, qualified_name(error))
        span.set_status(_ERROR)
