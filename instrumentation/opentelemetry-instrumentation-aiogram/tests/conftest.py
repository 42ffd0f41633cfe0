"""An instrumented aiogram whose spans stay in memory."""

from collections.abc import Iterator

import pytest
from aiogram import Bot, Dispatcher, Router
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.test.test_base import TestBase

from opentelemetry.instrumentation.aiogram import AiogramInstrumentor

from .kit import Measured, Spans, bot_with


@pytest.fixture
def traced() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    provider, exporter = TestBase.create_tracer_provider()  # type: ignore[no-untyped-call]  # the package says no types
    yield provider, exporter
    provider.shutdown()


@pytest.fixture
def exporter(traced: tuple[TracerProvider, InMemorySpanExporter]) -> InMemorySpanExporter:
    return traced[1]


@pytest.fixture
def metered() -> Iterator[tuple[MeterProvider, MetricReader]]:
    # Given an own list: the default one of the base class is shared by all who call it.
    provider, reader = TestBase.create_meter_provider(metric_readers=[])
    yield provider, reader
    provider.shutdown()


@pytest.fixture
def measured(metered: tuple[MeterProvider, MetricReader]) -> Measured:
    return Measured(metered[1])


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Spans:
    return Spans(exporter)


@pytest.fixture
def tracer_provider(traced: tuple[TracerProvider, InMemorySpanExporter]) -> TracerProvider:
    return traced[0]


@pytest.fixture
def meter_provider(metered: tuple[MeterProvider, MetricReader]) -> MeterProvider:
    return metered[0]


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
