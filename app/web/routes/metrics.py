"""`GET /metrics`: the OTel Prometheus exporter's registry, as text or OpenMetrics, whichever the scraper asks for.

Rendered and compressed in a thread: thousands of series take tens of milliseconds, which no update should wait for.
Scrapes that come while one is being rendered get that one: however many there are, one thread works for each format.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

#: Little for the network, and fast: a scrape of 300 kB takes two milliseconds.
_COMPRESSION = 1

_Encode = Callable[[CollectorRegistry], bytes]


def routes(registry: CollectorRegistry) -> list[web.RouteDef]:
    """The door for Prometheus and Telegraf."""
    under_way: dict[tuple[str, bool], asyncio.Future[bytes]] = {}

    async def scrape(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        compressed = "gzip" in request.headers.get("Accept-Encoding", "")
        kind = content_type, compressed  # the encoder is a new one each time
        rendered = under_way.get(kind)
        if rendered is None:
            rendered = asyncio.get_running_loop().run_in_executor(None, _render, encode, registry, compressed)
            under_way[kind] = rendered
            rendered.add_done_callback(lambda _: under_way.pop(kind))
        # Shielded: the others still wait for it when this scraper hangs up.
        body = await asyncio.shield(rendered)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        return web.Response(body=body, headers=headers | ({"Content-Encoding": "gzip"} if compressed else {}))

    return [web.get("/metrics", scrape)]


def _render(encode: _Encode, registry: CollectorRegistry, compressed: bool) -> bytes:
    body = encode(registry)
    return gzip.compress(body, _COMPRESSION) if compressed else body
