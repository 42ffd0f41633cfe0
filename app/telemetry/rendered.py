"""Which trace rendered which message, so that a press can link back to it. In memory, for the newest messages only."""

from __future__ import annotations

from collections import OrderedDict

from opentelemetry import trace
from opentelemetry.trace import SpanContext

_MOST = 10_000

_rendered_by: OrderedDict[tuple[int, int], SpanContext] = OrderedDict()


def note(chat_id: int, message_id: int) -> None:
    """The current span has just sent or edited this message."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        _rendered_by[chat_id, message_id] = context
        _rendered_by.move_to_end((chat_id, message_id))
        if len(_rendered_by) > _MOST:
            _rendered_by.popitem(last=False)


def link_back(chat_id: int, message_id: int) -> None:
    """Link the current span to the one that rendered the message, when that is known."""
    context = _rendered_by.get((chat_id, message_id))
    if context is not None:
        trace.get_current_span().add_link(context)
