"""The OTLP/HTTP receiver: traces and logs are kept beside the messages, metrics are thrown away.

Only protobuf is taken. Its content type is also what keeps foreign web pages out: a browser asks before it sends
such a body across origins, and nobody here says yes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web

from app.sandbox import otlp
from app.sandbox.errors import ApiError
from app.sandbox.params import BROKEN_BODY, read_bounded
from app.sandbox.state import Json
from app.sandbox.world import World

BODY_LIMIT: Final = 16 * 1024 * 1024
PROTOBUF: Final = "application/x-protobuf"


class OtlpDoor:
    """Takes what any program exports to this port."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def traces(self, request: web.Request) -> web.Response:
        """Take spans."""
        return await _export(request, self._take_spans)

    async def logs(self, request: web.Request) -> web.Response:
        """Take log records."""
        return await _export(request, self._take_logs)

    async def metrics(self, request: web.Request) -> web.Response:
        """Take metrics and forget them."""
        return await _export(request, otlp.check_metrics)

    def _take_spans(self, body: bytes) -> None:
        changed: dict[str, None] = {}
        for trace_id, span, resource in otlp.read_traces(body):
            self._world.traces.add_span(trace_id, span)
            self._attach(trace_id, span, resource)
            changed[trace_id] = None
        self._tell(changed)

    def _take_logs(self, body: bytes) -> None:
        changed: dict[str, None] = {}
        for trace_id, line in otlp.read_logs(body):
            self._world.traces.add_log(trace_id, line)
            changed[trace_id] = None
        self._tell(changed)

    def _tell(self, trace_ids: Iterable[str]) -> None:
        for trace_id in trace_ids:
            told = {"trace_id": trace_id, "message_ids": self._world.traces.message_ids(trace_id)}
            self._world.hub.publish("trace", told)

    def _attach(self, trace_id: str, span: Json, resource: Json) -> None:
        attributes = span["attributes"]
        if attributes.get("rpc.system.name") == "telegram_bot_api" and span["kind"] == "client":
            message_id = attributes.get("telegram.message.id")
            bot_id = attributes.get("telegram.bot.id", resource.get("telegram.bot.id"))
            if isinstance(message_id, int) and (bot := self._world.bot_of_message(message_id, bot_id)):
                self._world.traces.attach(trace_id, (bot.id, message_id))
        update_id = str(attributes.get("messaging.message.id", ""))
        if attributes.get("messaging.system") == "telegram" and update_id.isdecimal() and len(update_id) < 19:
            message = self._world.traces.message_of_update(int(update_id))
            if message is not None:
                self._world.traces.attach(trace_id, message)


async def _export(request: web.Request, take: Callable[[bytes], None]) -> web.Response:
    if request.content_type != PROTOBUF:
        return web.Response(status=415, text=f"Send OTLP as {PROTOBUF}.")
    try:
        take(await read_bounded(request.content, BODY_LIMIT))
    except ApiError:
        return web.Response(status=413, text="The export is over 16 MB.")
    except otlp.MalformedOtlp:
        return web.Response(status=400, text="The body is not the OTLP message of this path.")
    except BROKEN_BODY:
        return web.Response(status=400, text="The body can't be read: wrong encoding.")
    return web.Response(body=b"", content_type=PROTOBUF)
