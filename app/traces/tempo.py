"""Asks Tempo whether it has a trace, and which policy of the Collector's tail sampling kept it.

An answer of `/debug` never waits long for it, and never fails because of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from app.telemetry.untraced import untraced

_PATIENCE_S = 1.5
#: A trace of more is certainly there; by which policy is not worth the memory.
_READ_AT_MOST = 2 * 1024 * 1024
#: Written by the processor `tail_sampling` on each scope, with its feature gate
#: `processor.tailsamplingprocessor.recordpolicy`.
_POLICY = "tailsampling.policy"
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """`kept` (with the names of the policies, if the Collector tells them), `absent`, or `silent`: no usable answer.

    `again` is one that was not kept, and has been sent once more.
    """

    state: Literal["kept", "absent", "silent", "again"]
    policies: tuple[str, ...] = ()


class Tempo:
    """Tempo at one address, by its API `GET /api/v2/traces/{id}`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def ask(self, cid: str) -> Kept:
        """What became of a trace. Never raises for anything that Tempo does."""
        try:
            with untraced():
                async with asyncio.timeout(_PATIENCE_S):
                    return await self._ask(cid)
        # No JSON raises ValueError, JSON without end RecursionError.
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError):
            return Kept("silent")

    async def _ask(self, cid: str) -> Kept:
        address = f"{self._url}/api/v2/traces/{cid}"
        headers = {"Accept": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(address, headers=headers, allow_redirects=False) as response,
        ):
            if response.status == 404:
                return Kept("absent")
            if response.status != 200:
                return Kept("silent")
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > _READ_AT_MOST:
                    return Kept("kept")
        return _read(json.loads(body))


def _read(answer: Any) -> Kept:
    """Of an unknown trace the second version of the API tells 200 and nothing: what counts is a span."""
    scopes = [
        scope
        for resource in _list(_object(_object(answer).get("trace")).get("resourceSpans"))
        for scope in _list(_object(resource).get("scopeSpans"))
    ]
    if not any(_list(_object(scope).get("spans")) for scope in scopes):
        return Kept("absent")
    return Kept("kept", tuple(dict.fromkeys(_policies(scopes))))


def _policies(scopes: list[Any]) -> Iterator[str]:
    for scope in scopes:
        for attribute in _list(_object(_object(scope).get("scope")).get("attributes")):
            if _object(attribute).get("key") == _POLICY:
                name = _object(_object(attribute).get("value")).get("stringValue")
                if isinstance(name, str) and name:
                    yield name[:_LONGEST_NAME]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
