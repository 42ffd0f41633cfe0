"""
Instrument `aiogram`_ to trace Telegram bots: a span for each update, each handler, each Bot API call and download.

.. _aiogram: https://docs.aiogram.dev/

Usage
-----

.. code-block:: python

    import asyncio

    from aiogram import Bot, Dispatcher
    from aiogram.types import Message
    from opentelemetry.instrumentation.aiogram import AiogramInstrumentor

    AiogramInstrumentor().instrument()

    dispatcher = Dispatcher()


    @dispatcher.message()
    async def echo(message: Message) -> None:
        await message.answer("Got it")


    asyncio.run(dispatcher.start_polling(Bot("42:TOKEN")))

A message gives one trace::

    process message          CONSUMER
    └── handle echo          INTERNAL
        └── sendMessage      CLIENT

Bots need no change to be traced from outside: ``opentelemetry-instrument python bot.py``.

``instrument`` may be called before or after dispatchers and bots are made; ``uninstrument`` puts aiogram's classes back
as they were.

Configuration
-------------

All are arguments of ``instrument`` and may be left out:

``tracer_provider``, ``meter_provider``
    Where spans and metrics go; to the global providers if left out.

``update_hook``
    A function of ``(span, update)``, called before an update is processed.

``unhandled_hook``
    A function of ``(span, update, routing)``, called when no handler took an update. The ``Routing`` holds a reason and,
    in order, what was asked and said no.

``request_hook``
    A function of ``(span, method)``, called before each attempt at a Bot API call.

``response_hook``
    A function of ``(span, method, result)``, called after it. The result is the exception if it failed.

``explain_unhandled``
    ``False``: do not note which filters are asked, so that an update that nobody took is not explained.

``raise_telemetry_errors``
    What happens when the telemetry itself fails, in a hook or a span processor for instance. ``False``: the bot goes on
    and one warning per kind of failure is logged. ``True``: the error is raised. Left out: raised under
    pytest (8.2 or newer), logged otherwise.

Updates become children of the current span if there is one, so that the span of a web framework or one restored from
a queue is continued. ``opentelemetry.instrumentation.utils.suppress_instrumentation`` is respected.

While a Bot API call is under way, HTTP client instrumentation is suppressed: the token stands in the path of its URL, and
``traceparent`` and ``baggage`` are none of Telegram's business. File downloads are protected likewise.

Nothing of what people write or who they are is recorded: no texts, names, user or chat ids, callback data, nor the texts
of exceptions. The names of all spans, metrics and attributes are in ``opentelemetry.instrumentation.aiogram.semconv``.

API
---
"""

from opentelemetry.instrumentation.aiogram.instrumentor import AiogramInstrumentor
from opentelemetry.instrumentation.aiogram.routing import Routing, Tried
from opentelemetry.instrumentation.aiogram.version import __version__

__all__ = ["AiogramInstrumentor", "Routing", "Tried", "__version__"]
