"""The application: all doors of the sandbox on one port, and its life from start to stop.

Access logs stay off, because the path of every Bot API call holds a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypedDict, Unpack

import aiohttp
from aiohttp import web

from app.sandbox.botapi import BotApi
from app.sandbox.control.mount import mount
from app.sandbox.errors import ApiError, PortInUseError
from app.sandbox.flood import FloodLimits
from app.sandbox.guard import Guard
from app.sandbox.otlp_door import OtlpDoor
from app.sandbox.state import DEFAULT_USERS, Sample, SandboxUser
from app.sandbox.webhook import Courier
from app.sandbox.world import World

__all__ = ["DEFAULT_USERS", "BuildOptions", "FloodLimits", "Sample", "SandboxUser", "build_app", "serve"]

PAGE: Final = Path(__file__).parent / "page"
SHUTDOWN_S: Final = 0.5
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "localhost"})  # noqa: S104 -- compared, not listened on


class BuildOptions(TypedDict, total=False):
    """The options of `build_app`, which `serve` hands through."""

    samples: Sequence[Sample]
    token: str | None
    users: Sequence[SandboxUser]
    flood: FloodLimits
    public_url: str | None
    first_update_id: int | None


def build_app(
    *,
    samples: Sequence[Sample] = (),
    token: str | None = None,
    users: Sequence[SandboxUser] = DEFAULT_USERS,
    flood: FloodLimits = FloodLimits(),  # noqa: B008 -- frozen
    public_url: str | None = None,
    first_update_id: int | None = None,
) -> web.Application:
    """Build the sandbox.

    Args:
        samples: Links that the chat page offers to try.
        token: A bot that is there from the start; others are born with their first call.
        users: Who can chat.
        flood: How fast a bot may send.
        public_url: Where a proxy shows the sandbox, if one does; its host is trusted like a loopback one.
        first_update_id: Where the updates are numbered from; None for more than any sandbox before.

    Raises:
        ValueError: The token is not of Telegram's form.
    """
    world = World(users, samples, flood, first_update_id)
    if token is not None:
        try:
            world.bot_of_token(token)
        except ApiError:
            raise ValueError("a token is a number, a colon, and 3 or more letters, digits, - or _") from None
    bot_api = BotApi(world)
    courier = Courier(world.clock, world.files, bot_api.reply)
    world.webhook_changed = courier.follow
    app = web.Application(middlewares=[_leave_broken_connections])
    guard = Guard(public_url)
    app.router.add_route("*", "/bot{rest:.*}", guard.programs_only(bot_api.call))
    app.router.add_route("GET", "/file/bot{rest:.*}", guard.programs_only(bot_api.file))
    door = OtlpDoor(world)
    app.router.add_post("/v1/traces", guard.programs_only(door.traces))
    app.router.add_post("/v1/logs", guard.programs_only(door.logs))
    app.router.add_post("/v1/metrics", guard.programs_only(door.metrics))
    mount(app, world, guard)
    app.router.add_get("/", _index)
    app.router.add_static("/page", PAGE)
    app.cleanup_ctx.append(_life(world, courier))

    async def end_waiting(app: web.Application) -> None:
        courier.close()
        world.close()

    app.on_shutdown.append(end_waiting)
    return app


@web.middleware
async def _leave_broken_connections(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Close a connection whose body could not be decoded; aiohttp would read on, hang or log a traceback."""
    response = await handler(request)
    if request.content.exception() is not None:
        request.content.feed_eof()
        response.force_close()
    return response


async def _index(request: web.Request) -> web.StreamResponse:
    headers = {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        # A page around this one could lead the person's clicks; a meta element cannot forbid that.
        "Content-Security-Policy": "frame-ancestors 'none'",
        "X-Frame-Options": "DENY",
    }
    return web.FileResponse(PAGE / "index.html", headers=headers)


def _life(world: World, courier: Courier) -> Callable[[web.Application], AsyncIterator[None]]:
    async def life(app: web.Application) -> AsyncIterator[None]:
        world.files.open()
        jar = aiohttp.DummyCookieJar()
        connector = aiohttp.TCPConnector(limit=0)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session,
                asyncio.TaskGroup() as tasks,
            ):
                courier.open(tasks, session)
                yield
                courier.close()
        finally:
            world.files.close()

    return life


@contextlib.asynccontextmanager
async def serve(host: str, port: int, **build_kwargs: Unpack[BuildOptions]) -> AsyncIterator[str]:
    """Run the sandbox while the context lasts and give its base URL; port 0 picks a free one.

    Raises:
        PortInUseError: Another program listens there.
        ValueError: An option of `build_app` is wrong.
    """
    runner = web.AppRunner(
        build_app(**build_kwargs),
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        # A poller that has gone must not take the updates of the next one.
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUseError(
                errno.EADDRINUSE,
                f"port {port} of {host} is in use: stop the program that listens there, or choose another port (0 picks one)",
            ) from error
        yield f"http://{_shown(host)}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _shown(host: str) -> str:
    if host in _WILDCARDS:
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:
            return f"[{host}]"
    return host
