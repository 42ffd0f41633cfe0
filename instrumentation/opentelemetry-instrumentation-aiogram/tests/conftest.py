"""An instrumented aiogram whose spans stay in memory."""

from collections.abc import Iterator

import pytest
from aiogram import Bot, Dispatcher, Router
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor

from .kit import Spans, bot_with


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    return Spans(exporter)


@pytest.fixture
def tracer_provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


@pytest.fixture
def instrumented(tracer_provider: TracerProvider) -> Iterator[AiogramInstrumentor]:
    instrumentor = AiogramInstrumentor()
    instrumentor.instrument(tracer_provider=tracer_provider)
    yield instrumentor
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture
def bot() -> Bot:
    return bot_with()


@pytest.fixture
def router() -> Router:
    return Router(name="talk")


@pytest.fixture
def dispatcher(router: Router) -> Dispatcher:
    dispatcher = Dispatcher(name="root")
    dispatcher.include_router(router)
    return dispatcher
