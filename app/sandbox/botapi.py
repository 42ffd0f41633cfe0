"""The doors of the Bot API: `/bot<token>/<method>` and `/file/bot<token>/<path>`.

Faults come between a call and its answer; a `traceparent` header ties the caller's trace to the messages that the
call made. Of an exception that nobody foresaw only the type is logged: its text could quote a token or a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from inspect import isawaitable
from typing import Final

from aiohttp import web

from app.sandbox.bots import Bot
from app.sandbox.errors import ApiError
from app.sandbox.faults import FILE, Fault
from app.sandbox.methods import METHODS, NAMES
from app.sandbox.methods.call import Answer, Call
from app.sandbox.params import Params, logged, read_params
from app.sandbox.state import Json
from app.sandbox.world import World

_log = logging.getLogger(__name__)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_BROKEN_JSON: Final = '{"ok":true,"result":{"message_id":'
_NOT_FOUND: Final = ApiError(404, "Not Found: method not found")


class BotApi:
    """Answers bots."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def call(self, request: web.Request) -> web.StreamResponse:
        """Answer one call of a method, whatever the HTTP method and the encoding."""
        token, _, method = request.match_info["rest"].partition("/")
        try:
            bot = self._world.bot_of_token(token)
            query = request.query.items()
            params = await read_params(request.headers, request.content, query, self._world.files)
        except ApiError as error:
            return _respond(error.envelope(), error.code)
        name = NAMES.get(method.lower(), method[:64])
        try:
            return await self._answer(request, bot, name, params)
        finally:
            self._world.files.drop(params.files.values())

    async def reply(self, bot: Bot, method: str, params: Params) -> None:
        """Carry out a method that a webhook answered with; nobody reads what becomes of it."""
        name = NAMES.get(method.lower(), method[:64])
        status, _ = await self._carry_out(Call(self._world, bot, params), name, None)
        self._world.log_call(bot, name, params.summary(), {}, status)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Send the bytes behind a link that `getFile` gave."""
        token, _, path = request.match_info["rest"].partition("/")
        try:
            bot = self._world.bot_of_token(token)
            stored = self._world.files.find_path(bot.id, path, self._world.clock.now())
            if stored is None:
                raise ApiError(404, "Not Found")
        except ApiError as error:
            return _respond(error.envelope(), error.code)
        fault = self._world.faults.meet(FILE)
        if fault is not None and fault.kind != "delay":
            return _spoil(request, fault)
        await self._pause(fault)
        return web.FileResponse(stored.disk_path, headers={"Content-Type": "application/octet-stream"})

    async def _answer(self, request: web.Request, bot: Bot, name: str, params: Params) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        fault = self._world.faults.meet(name)
        status = 200
        body: Json = {}
        if fault is None or fault.kind == "delay" or fault.after:
            trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
            call = Call(self._world, bot, params)
            status, body = await self._carry_out(call, name, trace[1] if trace else None)
        if fault is None or fault.kind == "delay":
            response: web.StreamResponse = _respond(body, status)
        else:
            response = _spoil(request, fault)
        self._world.log_call(bot, name, params.summary(), logged(headers), response.status)
        await self._pause(fault)
        return response

    async def _carry_out(self, call: Call, name: str, trace_id: str | None) -> tuple[int, Json]:
        try:
            handler = METHODS.get(name)
            if handler is None:
                raise _NOT_FOUND
            result = handler(call)
            if isawaitable(result):
                result = await result
        except Exception as error:
            refusal = error if isinstance(error, ApiError) else _unforeseen(error, name)
            return refusal.code, refusal.envelope()
        if trace_id is not None:
            self._attach(call.bot, result, trace_id)
        if isinstance(result, Answer):
            return 200, {"ok": True, "result": result.result, "description": result.description}
        return 200, {"ok": True, "result": result}

    def _attach(self, bot: Bot, result: object, trace_id: str) -> None:
        for item in result if isinstance(result, list) else [result]:
            if isinstance(item, dict) and isinstance(item.get("message_id"), int):
                self._world.traces.attach(trace_id, (bot.id, item["message_id"]))

    async def _pause(self, fault: Fault | None) -> None:
        if fault is None or fault.delay_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(fault.delay_s):
                await self._world.closing.wait()


def _unforeseen(error: Exception, method: str) -> ApiError:
    _log.error("%s in %s", type(error).__name__, method)
    return ApiError(500, "Internal Server Error")


def _respond(body: Json, status: int) -> web.Response:
    return web.json_response(body, status=status)


def _spoil(request: web.Request, fault: Fault) -> web.Response:
    if fault.kind == "error":
        error = fault.error()
        return _respond(error.envelope(), error.code)
    if fault.kind == "drop" and request.transport is not None:
        request.transport.abort()
        return web.Response(status=499)
    return web.Response(text=_BROKEN_JSON, content_type="application/json")
