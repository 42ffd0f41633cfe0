"""Lets only those to `/metrics` and `/health` who may: an allow list of addresses, and basic auth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler

from app.web.clients import Network, client_of, is_allowed, knows

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="tracegram", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Guard:
    """Whom to let in: everybody by default."""

    allowed: Sequence[Network] = ()
    trusted_proxies: Sequence[Network] = ()
    user: str = ""
    password: str = field(default="", repr=False)

    def protect(self, routes: Sequence[web.RouteDef]) -> list[web.RouteDef]:
        """The same routes behind the guard."""
        return [
            web.RouteDef(route.method, route.path, self._guarded(route.handler), route.kwargs)
            for route in routes
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            peer = request.transport.get_extra_info("peername") if request.transport else None
            forwarded = request.headers.getall("X-Forwarded-For", [])
            client = client_of(peer[0] if peer else "", forwarded, self.trusted_proxies)
            if not is_allowed(client, self.allowed):
                return web.json_response({"error": "this address may not come in here"}, status=403)
            if self.password and not knows(
                request.headers.get("Authorization", ""), self.user, self.password
            ):
                return web.json_response(
                    {"error": "a name and a password are needed"}, status=401, headers=_CHALLENGE
                )
            return await handler(request)

        return guarded
