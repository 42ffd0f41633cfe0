"""`POST /telegram/webhook`: the path is fixed and holds no secret; the secret comes in Telegram's header.

200 goes out when the update is committed, and not before. Everything else tells Telegram to bring it again, or that it
is nothing of its own.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping

from aiohttp import web

from app.errors import InboxFull, InboxUnavailable, NotAnUpdate
from app.telemetry.catalogue import RATE_LIMIT_HITS, WEBHOOK_LATENCY
from app.telemetry.instruments import count, record
from app.updates.envelope import Envelope, read
from app.updates.ports import Receive

PATH = "/telegram/webhook"
_SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  # the header's name
#: An update holds at most 4096 characters of text and some dozen objects around it.
MAX_BODY = 1024 * 1024
#: A sender that needs longer for its body is no Telegram.
_BODY_S = 10.0
#: Seconds; Telegram honours it (tdlib/telegram-bot-api, WebhookActor.cpp).
_RETRY_AFTER = {"Retry-After": "5"}


class _Refused(Exception):
    def __init__(
        self, status: int, message: str, outcome: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.answer = web.json_response({"error": message}, status=status, headers=headers)
        self.outcome = outcome


def routes(receive: Receive, secret: str) -> list[web.RouteDef]:
    """The door for Telegram."""

    async def take(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            outcome: str = await _store(await _judged(request, secret.encode()), receive)
            answer = web.json_response({})
        except _Refused as refused:
            answer, outcome = refused.answer, refused.outcome
        record(WEBHOOK_LATENCY, time.perf_counter() - started, outcome=outcome)
        return answer

    return [web.post(PATH, take)]


async def _judged(request: web.Request, secret: bytes) -> Envelope:
    given = request.headers.get(_SECRET_HEADER, "")
    # As bytes: comparing text raises for anything beyond ASCII.
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret):
        raise _Refused(401, "wrong or missing secret token", "refused")
    if request.content_type != "application/json":
        raise _Refused(415, "the body must be application/json", "refused")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _Refused(415, "the body must not be compressed", "refused")
    try:
        async with asyncio.timeout(_BODY_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _Refused(413, f"the body is over {MAX_BODY} bytes", "refused") from None
    except TimeoutError:
        raise _Refused(408, f"the body took longer than {_BODY_S:.0f} s", "refused") from None
    try:
        return read(body)
    except NotAnUpdate as error:
        raise _Refused(400, str(error), "refused") from None


async def _store(envelope: Envelope, receive: Receive) -> str:
    try:
        return await receive(envelope, "webhook")
    except InboxFull as error:
        count(RATE_LIMIT_HITS, category="inbox")
        raise _Refused(429, str(error), "full", _RETRY_AFTER) from None
    except InboxUnavailable as error:
        raise _Refused(503, str(error), "unavailable", _RETRY_AFTER) from None
