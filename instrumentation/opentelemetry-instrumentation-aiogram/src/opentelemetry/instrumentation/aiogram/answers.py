"""What handlers return: aiogram sends it when the update is over, and here it is kept in the update's trace."""

import weakref
from functools import wraps
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.instrumentation.aiogram.semconv import TELEGRAM_ANSWER_METHOD
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, set_span_in_context


class Answers:
    """The Bot API methods that handlers returned: aiogram sends them when the update is over."""

    def __init__(self) -> None:
        self._spans: dict[int, SpanContext] = {}

    def keep(self, span: Span, result: Any) -> None:
        """Remember which update a method came from, as long as there is the method."""
        name = getattr(result, "__api_method__", None)
        if name is None:
            return
        span.set_attribute(TELEGRAM_ANSWER_METHOD, name)
        self._spans[id(result)] = span.get_span_context()
        weakref.finalize(result, self._spans.pop, id(result), None).atexit = False

    def context_of(self, result: object) -> Context | None:
        """A context in which the update's span is the parent, though it has ended."""
        found = self._spans.get(id(result))
        return None if found is None else set_span_in_context(NonRecordingSpan(found))

    def send(self, original: Any) -> Any:
        """For `Dispatcher.silent_call_request`: what a handler returned is sent in the trace of its update."""

        @wraps(original)
        async def silent_call_request(cls: type[Any], bot: Any, result: Any) -> None:
            context = self.context_of(result)
            token = attach(context) if context is not None else None
            try:
                await original(bot, result)
            finally:
                if token is not None:
                    detach(token)

        return classmethod(silent_call_request)
