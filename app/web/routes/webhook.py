"""`POST /telegram/webhook`: the path is fixed and holds no secret; the secret comes in Telegram's header.

The body is read and judged here; 200 goes out when the update was processed. Nothing is stored yet.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web

from app.errors import NotAnUpdate

PATH = "/telegram/webhook"
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  # the header's name
#: An update holds at most 4096 characters of text and some dozen objects around it.
MAX_BODY = 1024 * 1024

Accept = Callable[[bytes], Awaitable[None]]


def routes(accept: Accept, secret: str) -> list[web.RouteDef]:
    """The door for Telegram. `accept` raises `NotAnUpdate` for a body that is none."""

    async def receive(request: web.Request) -> web.Response:
        given = request.headers.get(_SECRET_HEADER, "")
        # As bytes: comparing text raises for anything beyond ASCII.
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode()):
            return web.json_response({"error": "wrong or missing secret token"}, status=401)
        if request.content_type != "application/json":
            return web.json_response({"error": "the body must be application/json"}, status=415)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.json_response({"error": f"the body is over {MAX_BODY} bytes"}, status=413)
        try:
            await accept(body)
        except NotAnUpdate as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    return [web.post(PATH, receive)]
