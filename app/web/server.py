"""The web server: one aiohttp application, bound to one port, for as long as its context is open."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from app.errors import ConfigError
from app.web.routes.webhook import MAX_BODY

_log = logging.getLogger(__name__)

#: How long a stop waits for requests that are being answered.
_GRACE_S = 10.0


@web.middleware
async def _no_traceback(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A failure of ours is a 503, so that Telegram brings the update again; its text stays inside."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status, headers=_allowed(error))
    except Exception:
        _log.exception("a request failed")
        return web.json_response({"error": "try again later"}, status=503)


def _allowed(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


@asynccontextmanager
async def serve(host: str, port: int, routes: Iterable[web.RouteDef]) -> AsyncIterator[str]:
    """Serve the routes; gives the address that was bound. Raises `ConfigError` when the port is taken."""
    application = web.Application(client_max_size=MAX_BODY, middlewares=[_no_traceback])
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"WEB_PORT: cannot listen on {host}:{port} ({os.strerror(error.errno or 0).lower()}). Free it, or choose another."
            ) from error
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()
