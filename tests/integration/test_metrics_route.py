"""`GET /metrics` over HTTP: both formats, compressed or not, exemplars, and scrapes that come at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from app.telemetry.catalogue import UPDATE_LATENCY, UPDATES
from app.telemetry.exemplars import ExemplarReader
from app.telemetry.meters import Meters
from app.web.routes import metrics
from app.web.server import serve

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@asynccontextmanager
async def scraped(registry: CollectorRegistry) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    routes: list[web.RouteDef] = metrics.routes(registry)
    async with serve("127.0.0.1", 0, routes) as address, aiohttp.ClientSession() as client:
        yield client, f"{address.rstrip('/')}/metrics"


async def test_a_bucket_and_a_counter_name_a_trace_in_openmetrics_and_nothing_in_plain_text() -> None:
    registry = CollectorRegistry()
    meters = Meters(Resource({}))
    meters.serve(ExemplarReader(registry))
    meter = meters.get_meter("tracegram")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        labels = {"update_type": "message", "outcome": "handled"}
        meter.create_histogram(UPDATE_LATENCY.name, "s", "Latency.").record(0.02, labels)
        meter.create_counter(UPDATES.name, "{update}", "Updates.").add(1, {"update_type": "message"})
    context = span.get_span_context()
    ids = f'span_id="{format_span_id(context.span_id)}",trace_id="{format_trace_id(context.trace_id)}"'
    async with scraped(registry) as (client, url):
        for _ in range(2):  # a second scraper sees them, too
            async with client.get(url, headers=OPENMETRICS) as answer:
                assert answer.content_type == "application/openmetrics-text"
                assert answer.headers["Content-Encoding"] == "gzip"
                lines = [line for line in (await answer.text()).splitlines() if " # {" in line]
            assert [line.split(" # {")[0].split("{")[0] for line in lines] == [
                "bot_update_latency_seconds_bucket",
                "bot_updates_total",
            ]
            assert all(f"# {{{ids}}}" in line for line in lines)
            assert 'le="0.025"' in lines[0]
        async with client.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            assert answer.content_type == "text/plain"
            assert "Content-Encoding" not in answer.headers
            plain = await answer.text()
    assert 'bot_updates_total{update_type="message"} 1.0' in plain
    assert "trace_id" not in plain


class _Slow(Collector):
    """Takes as long as it is told to, and knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.threads: set[int] = set()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def collect(self) -> Iterable[Metric]:
        self.asked += 1
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.go_on.wait(30)
        yield CounterMetricFamily("asked", "How often.", self.asked)


async def test_scrapes_that_come_at_once_are_rendered_once_and_beside_the_loop() -> None:
    """Twenty scrapers of a slow page took twenty threads, and everything else that needs one waited."""
    slow, registry = _Slow(), CollectorRegistry(auto_describe=False)
    registry.register(slow)
    slow_before = slow.asked
    async with scraped(registry) as (client, url):

        async def scrape() -> str:
            async with client.get(url) as answer:
                return await answer.text()

        async with asyncio.TaskGroup() as group:
            first = group.create_task(scrape())
            while not slow.begun.is_set():
                await asyncio.sleep(0.01)  # the loop goes on while the page is rendered
            others = [group.create_task(scrape()) for _ in range(20)]
            gone = group.create_task(scrape())
            await asyncio.sleep(0.1)
            gone.cancel()  # a scraper that hangs up takes the page from nobody
            await asyncio.sleep(0.05)
            slow.go_on.set()
        assert slow.asked == slow_before + 1
        assert {task.result() for task in [first, *others]} == {first.result()}
        assert f"asked_total {slow.asked}.0" in first.result()
        assert f"asked_total {slow.asked + 1}.0" in await scrape()
    assert threading.get_ident() not in slow.threads
