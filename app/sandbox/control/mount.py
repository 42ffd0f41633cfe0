"""Puts the control API on an application, behind the guard against foreign pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from app.sandbox.control import chats, steer, watch
from app.sandbox.control.openapi import document
from app.sandbox.control.route import Route
from app.sandbox.errors import ControlError
from app.sandbox.guard import Guard
from app.sandbox.world import World

_NUMBERS: Final = ("uid", "message_id", "update_id")


async def describe(world: World, request: web.Request) -> object:
    """Give this description."""
    return document(ROUTES)


async def _no_such_door(world: World, request: web.Request) -> object:
    raise ControlError(404, "There is no such door: GET /sandbox/openapi.json lists them all.")


ROUTES: Final[tuple[Route, ...]] = (
    *watch.ROUTES,
    *chats.ROUTES,
    *steer.ROUTES,
    Route("GET", "/sandbox/openapi.json", "This description", describe, {"type": "object"}),
)


def mount(app: web.Application, world: World, guard: Guard) -> None:
    """Add all routes."""
    for route in ROUTES:
        path = route.path
        for name in _NUMBERS:
            path = path.replace(f"{{{name}}}", rf"{{{name}:\d{{1,18}}}}")
        app.router.add_route(route.method, path, _guarded(world, route.handler, guard))
    for elsewhere in ("/sandbox", "/sandbox/{rest:.*}"):
        app.router.add_route("*", elsewhere, _guarded(world, _no_such_door, guard))


def _guarded(
    world: World, handler: Callable[[World, web.Request], Awaitable[object]], guard: Guard
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            guard.check_control(request)
            result = await handler(world, request)
        except ControlError as error:
            return web.json_response({"error": error.sentence}, status=error.status)
        return result if isinstance(result, web.StreamResponse) else web.json_response(result)

    return answer
