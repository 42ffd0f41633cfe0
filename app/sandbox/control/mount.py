"""Puts the control API on an application, behind the guard against foreign pages.

A web page from elsewhere can reach a loopback port through the visitor's browser. So the Host header must be a
loopback name (a page that rebinds its own name to this machine has another), and what changes anything must not come
from another origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from app.sandbox.control import chats, steer, watch
from app.sandbox.control.openapi import document
from app.sandbox.control.route import Route
from app.sandbox.errors import ControlError
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


def mount(app: web.Application, world: World, public_url: str | None) -> None:
    """Add all routes; `public_url` names one more host and origin that is trusted."""
    trusted = urlsplit(public_url).netloc.lower() if public_url else ""
    for route in ROUTES:
        path = route.path
        for name in _NUMBERS:
            path = path.replace(f"{{{name}}}", rf"{{{name}:\d{{1,18}}}}")
        app.router.add_route(route.method, path, _guarded(world, route.handler, trusted))
    app.router.add_route("*", "/sandbox/{rest:.*}", _guarded(world, _no_such_door, trusted))


def _guarded(
    world: World, handler: Callable[[World, web.Request], Awaitable[object]], trusted: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            _check_origin(request, trusted)
            result = await handler(world, request)
        except ControlError as error:
            return web.json_response({"error": error.sentence}, status=error.status)
        return result if isinstance(result, web.StreamResponse) else web.json_response(result)

    return answer


def _check_origin(request: web.Request, trusted: str) -> None:
    hosts = [host.lower() for host in request.headers.getall("Host", [])]
    if len(hosts) != 1 or not (_is_loopback(hosts[0]) or hosts[0] == (trusted or None)):
        raise ControlError(
            403, "Only loopback host names are answered here: use http://127.0.0.1 with the port."
        )
    if request.method in ("GET", "HEAD"):
        return
    for origin in request.headers.getall("Origin", []):
        if urlsplit(origin).netloc.lower() not in (hosts[0], trusted or hosts[0]):
            raise ControlError(403, "A page from another origin may not change anything here.")


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
