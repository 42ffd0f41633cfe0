"""What a scrape costs the event loop: 3,000 series with exemplars, as OpenMetrics, compressed, asked for over HTTP.

Run as `python -m tests.bench.scrape`; prints JSON. `held_ms` is the longest time for which a timer of the loop was held
up during a scrape, median of the scrapes; `loop_cpu_ms` what the loop's own thread worked for one.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from aiohttp import web
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.telemetry.catalogue import Label, Metric
from app.telemetry.exemplars import ExemplarReader
from app.telemetry.meters import Meters
from app.web.routes import metrics
from app.web.server import serve

_SCRAPES = 20
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: A histogram has a series per bucket, its sum and its count: 15 of them with 15 sets of labels are 3,150.
_HISTOGRAMS, _SETS = 15, 15
_PROBE_S = 0.001

_CLIENT = """
import sys, urllib.request
headers = {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
for url in sys.stdin:
    with urllib.request.urlopen(urllib.request.Request(url.strip(), headers=headers)) as answer:
        print(len(answer.read()), flush=True)
"""


def _recorded() -> tuple[CollectorRegistry, int]:
    """A registry, and how many series come out of it."""
    registry = CollectorRegistry()
    catalogue = [
        Metric(f"bench.{number}", "histogram", "s", "A metric.", (Label("a"), Label("b")), _BOUNDS)
        for number in range(_HISTOGRAMS)
    ]
    meters = Meters(Resource({}), catalogue)
    meters.serve(ExemplarReader(registry))
    meter = meters.get_meter("bench")
    with TracerProvider(shutdown_on_exit=False).get_tracer("bench").start_as_current_span("bench"):
        for metric in catalogue:
            histogram = meter.create_histogram(metric.name, metric.unit, metric.help)
            for number in range(_SETS):
                for bound in (*_BOUNDS, 20):
                    histogram.record(bound, {"a": f"value {number}", "b": "other"})
    return registry, sum(len(family.samples) for family in registry.collect())


async def measure() -> dict[str, Any]:
    """Scrape again and again, and watch the loop meanwhile."""
    registry, series = _recorded()
    routes: list[web.RouteDef] = metrics.routes(registry)
    gc.collect()
    gc.freeze()  # as the bot does at its start
    late: list[float] = []

    async def watch() -> None:
        while True:
            due = time.perf_counter() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            late.append((time.perf_counter() - due) * 1000)

    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CLIENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdin is not None
    assert client.stdout is not None
    held, idle, cpu, cpu_idle = [], [], [], []
    async with serve("127.0.0.1", 0, routes) as address, asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        for _ in range(_SCRAPES):
            late.clear()
            began, worked = time.perf_counter(), time.thread_time()
            client.stdin.write(f"{address.rstrip('/')}/metrics\n".encode())
            await client.stdout.readline()
            took = time.perf_counter() - began
            cpu.append((time.thread_time() - worked) * 1000)
            held.append(max(late, default=took * 1000))
            late.clear()
            worked = time.thread_time()
            await asyncio.sleep(took)  # the same with nothing to do but to watch
            cpu_idle.append((time.thread_time() - worked) * 1000)
            idle.append(max(late, default=0.0))
        watching.cancel()
    client.stdin.close()
    await client.wait()
    return {
        "series": series,
        "held_ms": round(statistics.median(held), 2),
        "held_idle_ms": round(statistics.median(idle), 2),
        "loop_cpu_ms": round(max(statistics.median(cpu) - statistics.median(cpu_idle), 0.0), 2),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure())))
