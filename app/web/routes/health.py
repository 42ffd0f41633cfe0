"""`GET /health`: 200 when this process can do its job, 503 when not, and in both cases why.

`/health/live` and `/health/ready` say only yes or no, for orchestrators and load balancers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

#: A part that takes longer than this counts as down.
_PATIENCE_S = 2.0

Check = Callable[[], Awaitable[Mapping[str, Any]]]
Checks = Mapping[str, Check]


def routes(base: Callable[[], Mapping[str, Any]], checks: Checks) -> list[web.RouteDef]:
    """The door for people and monitors. `base` gives what is always there; a check raises when its part is down."""

    async def health(_request: web.Request) -> web.Response:
        results = await ask(checks)
        well = all(fields is not None for fields in results.values())
        body: dict[str, Any] = {"status": "ok" if well else "unavailable", **base()}
        for fields in results.values():
            body.update(fields or {})
        for name, fields in results.items():
            body[name] = "down" if fields is None else "ok"
        return web.json_response(body, status=200 if well else 503)

    return [web.get("/health", health)]


def probes(needed: Checks) -> list[web.RouteDef]:
    """The doors for orchestrators: alive while it answers at all, ready while what is `needed` is there."""

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        well = all(fields is not None for fields in (await ask(needed)).values())
        return web.json_response({"status": "ok" if well else "unavailable"}, status=200 if well else 503)

    return [web.get("/health/live", live), web.get("/health/ready", ready)]


async def ask(checks: Checks) -> dict[str, Mapping[str, Any] | None]:
    """What each part says; None for one that is down."""
    results = await asyncio.gather(*(_try(check) for check in checks.values()))
    return dict(zip(checks, results, strict=True))


async def _try(check: Check) -> Mapping[str, Any] | None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await check()
    except Exception:  # whatever a driver raises means the same: this part is down
        return None
