"""`GET /health`: 200 when this process can do its job, 503 when not, and in both cases why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

#: A part that takes longer than this counts as down.
_PATIENCE_S = 2.0

Check = Callable[[], Awaitable[Mapping[str, Any]]]


def routes(base: Callable[[], Mapping[str, Any]], checks: Mapping[str, Check]) -> list[web.RouteDef]:
    """The door for orchestrators. `base` gives what is always there; each check raises when its part is down."""

    async def health(_request: web.Request) -> web.Response:
        results = await asyncio.gather(*(_try(check) for check in checks.values()))
        body: dict[str, Any] = {"status": "ok" if all(ok for ok, _ in results) else "unavailable", **base()}
        for _, fields in results:
            body.update(fields)
        for name, (ok, _) in zip(checks, results, strict=True):
            body[name] = "ok" if ok else "down"
        return web.json_response(body, status=200 if body["status"] == "ok" else 503)

    return [web.get("/health", health)]


async def _try(check: Check) -> tuple[bool, Mapping[str, Any]]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return True, await check()
    except Exception:  # whatever a driver raises means the same: this part is down
        return False, {}
