"""Keeps web pages from elsewhere away from all doors; a page can reach a loopback port through its visitor's browser.

The control API answers loopback host names only (a page that rebinds its own name to this machine has another) and
takes no change from another origin. The doors of bots must answer programs under any host name, so there only a
request that bears a browser's marks is checked; programs send none of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from app.sandbox.errors import ApiError, ControlError

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})
_FORBIDDEN: Final = ApiError(403, "Forbidden: a web page may not call this; programs may")


class Guard:
    """Judges where a request comes from; `public_url` names one more host and origin that is trusted."""

    def __init__(self, public_url: str | None) -> None:
        self._trusted = urlsplit(public_url).netloc.lower() if public_url else None

    def check_control(self, request: web.Request) -> None:
        """Check a request to the control API.

        Raises:
            ControlError: 403, the host name or the origin is foreign.
        """
        if not self._is_trusted_host(request):
            raise ControlError(
                403, "Only loopback host names are answered here: use http://127.0.0.1 with the port."
            )
        if request.method not in ("GET", "HEAD") and not self._is_own_origin(request):
            raise ControlError(403, "A page from another origin may not change anything here.")

    def programs_only(self, door: Door) -> Door:
        """Answer 403 instead of `door` to pages from elsewhere."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if self._is_foreign_page(request):
                return web.json_response(_FORBIDDEN.envelope(), status=_FORBIDDEN.code)
            return await door(request)

        return answer

    def _is_foreign_page(self, request: web.Request) -> bool:
        headers = request.headers
        if headers.get("Sec-Fetch-Site") in _FOREIGN_SITES or not self._is_own_origin(request):
            return True
        # A rebound name is no secure context: a browser then sends neither of the first two with a GET.
        marked = "Sec-Fetch-Site" in headers or "Origin" in headers
        marked = marked or headers.get("User-Agent", "").startswith("Mozilla/")
        return marked and not self._is_trusted_host(request)

    def _is_trusted_host(self, request: web.Request) -> bool:
        hosts = _hosts(request)
        return len(hosts) == 1 and (_is_loopback(hosts[0]) or hosts[0] == self._trusted)

    def _is_own_origin(self, request: web.Request) -> bool:
        own = {*_hosts(request), self._trusted}
        return all(urlsplit(origin).netloc.lower() in own for origin in request.headers.getall("Origin", []))


def _hosts(request: web.Request) -> list[str]:
    return [host.lower() for host in request.headers.getall("Host", [])]


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
