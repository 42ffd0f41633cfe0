"""The web server: one aiohttp application, bound to one port, for as long as its context is open."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.errors import ConfigError
from app.web.connections import HEAD_S, MOST, Doorman
from app.web.routes.webhook import MAX_BODY

_log = logging.getLogger(__name__)

#: How long a stop waits for requests that are being answered.
_GRACE_S = 10.0


@web.middleware
async def _no_traceback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A failure of ours is a 503, so that Telegram brings the update again; its text stays inside."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        _log.exception("a request failed")
        return web.json_response({"error": "try again later"}, status=503)


def _telling(doormen: list[Doorman]) -> Middleware:
    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        for doorman in doormen:
            doorman.heard(request)
        return await handler(request)

    return tell


@asynccontextmanager
async def serve(
    host: str, port: int, routes: Iterable[web.RouteDef], setting: str = "WEB_PORT"
) -> AsyncIterator[str]:
    """Serve the routes; gives the address that was bound. Raises `ConfigError` when the port is taken."""
    doormen: list[Doorman] = []
    application = web.Application(
        client_max_size=MAX_BODY, middlewares=[_telling(doormen), _no_traceback], logger=_log
    )
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    doormen.append(
        Doorman(cast(web.Server, runner.server), most=MOST, head_s=HEAD_S)
    )  # it is there after the set-up
    try:
        listening = await _listen(doormen[0], host, port, setting)
        try:
            yield f"http://{host}:{listening.sockets[0].getsockname()[1]}"
        finally:
            listening.close()
    finally:
        await runner.cleanup()


async def _listen(doorman: Doorman, host: str, port: int, setting: str) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(doorman, host, port, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"{setting}: cannot listen on {host}:{port} ({os.strerror(error.errno or 0).lower()}). "
            "Free it, or choose another."
        ) from error
