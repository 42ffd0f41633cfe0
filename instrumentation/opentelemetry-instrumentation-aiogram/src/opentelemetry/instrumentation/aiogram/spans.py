"""The life of a span around one awaited call: opened, made current, described by its result, ended.

A span that would record nothing and identify nothing is not made current, so that a no-op tracer hides no span of others.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextvars import Token
from typing import Any, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.instrumentation.aiogram.safety import guarded
from opentelemetry.instrumentation.aiogram.semconv import ERROR_TYPE, qualified_name
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

_S = TypeVar("_S", bound="Scope")

AttributeValue = str | int
Attributes = Mapping[str, AttributeValue]

# No description: texts of exceptions quote messages, chat ids and URLs with the token in them.
_ERROR = Status(StatusCode.ERROR)


class Scope:
    """One open span, current until `finish`; subclasses say what a result or an error means."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Token[Context] = attach(set_span_in_context(span))

    @classmethod
    def open(cls: type[_S], tracer: Tracer, name: str, kind: SpanKind, attributes: Attributes) -> _S | None:
        """Start a span and make it current; None when there is nothing to trace."""
        if not is_instrumentation_enabled():
            return None
        span = tracer.start_span(name, kind=kind, attributes=attributes)
        if not span.is_recording() and span.get_span_context() == get_current_span().get_span_context():
            return None
        return cls(span)

    def describe(self, result: object, error: BaseException | None) -> None:
        """Record what came of the call. Also called when a sampler has dropped the span."""
        raise NotImplementedError

    def mark_failed(self, error: type[BaseException]) -> None:
        """Record the class of an error, never its text."""
        if not self.span.is_recording():
            return
        self.span.set_attribute(ERROR_TYPE, qualified_name(error))
        self.span.set_status(_ERROR)

    def leave(self) -> None:
        """Make the span before this one current again."""
        detach(self._token)

    @guarded
    def finish(self, result: object = None, error: BaseException | None = None) -> None:
        """Describe and end the span."""
        try:
            self.describe(result, error)
        finally:
            # A coroutine that is thrown away is closed in some other context, where a token is worth nothing.
            if not isinstance(error, GeneratorExit):
                self.leave()
            # Last, since a span processor may raise.
            self.span.end()


async def observe(
    scope: Scope | None, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Await the call inside the scope and pass its result or exception on unchanged."""
    if scope is None:
        return await call(*args, **kwargs)
    try:
        result = await call(*args, **kwargs)
    except BaseException as error:
        scope.finish(error=error)
        raise
    scope.finish(result=result)
    return result
