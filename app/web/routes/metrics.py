"""`GET /metrics`: the OTel Prometheus exporter's registry, as text or OpenMetrics, whichever the scraper asks for.

Rendered in a thread: thousands of series take tens of milliseconds, which no update should wait for.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def routes(registry: CollectorRegistry) -> list[web.RouteDef]:
    """The door for Prometheus and Telegraf."""

    async def scrape(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.to_thread(encode, registry)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    return [web.get("/metrics", scrape)]
