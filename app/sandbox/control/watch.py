"""Doors to look: state, traces, calls, files, samples and the stream of events."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from typing import Final

from aiohttp import web

from app.sandbox.control import schemas
from app.sandbox.control.route import Route, bot_of, path_number, whole_number
from app.sandbox.errors import ControlError
from app.sandbox.render import user_view
from app.sandbox.state import Json
from app.sandbox.world import World

KEEP_ALIVE_S: Final = 15.0
_SHOWN_INLINE: Final = ("audio/", "video/", "image/")


async def state(world: World, request: web.Request) -> Json:
    """Give who is there and what time it is."""
    bots = [
        {
            "id": bot.id,
            "username": bot.username,
            "first_name": bot.first_name,
            "webhook_url": bot.webhook.url if bot.webhook else None,
            "polling": bot.updates.polled,
            "pending_updates": len(bot.updates.waiting()),
        }
        for bot in world.bots.values()
    ]
    users = [user_view(user) for user in world.users.values()]
    return {"bots": bots, "users": users, "clock": clock_view(world)}


def clock_view(world: World) -> Json:
    """Show the clock."""
    return {"now": world.clock.now(), "offset_s": world.clock.offset_s}


async def message_traces(world: World, request: web.Request) -> list[Json]:
    """Give the traces of a message, its own first."""
    bot = bot_of(world, request)
    message_id = path_number(request, "message_id")
    if message_id not in bot.messages:
        raise ControlError(404, "There is no such message: read the chat for the ones that are there.")
    return world.traces.views(world.traces.ids_of((bot.id, message_id)))


async def traces(world: World, request: web.Request) -> list[Json]:
    """Give the newest traces, one line each."""
    return world.traces.newest(whole_number(request, "limit", 50))


async def trace(world: World, request: web.Request) -> Json:
    """Give one whole trace."""
    view = world.traces.view(request.match_info["trace_id"].lower())
    if view is None:
        raise ControlError(404, "There is no such trace here: it has not been exported yet, or is forgotten.")
    return view


async def calls(world: World, request: web.Request) -> Json:
    """Give the Bot API calls of the past."""
    method = request.query.get("method", "").lower()
    after = whole_number(request, "after", 0)
    known = world.polls if method == "getupdates" else world.calls
    chosen = [call for call in known if call.seq > after and method in ("", call.method.lower())]
    return {"calls": [asdict(call) for call in chosen]}


async def file(world: World, request: web.Request) -> web.StreamResponse:
    """Send the bytes of a file so that a page can play it, in ranges too."""
    stored = world.files.find(request.match_info["file_id"])
    if stored is None:
        raise ControlError(404, "There is no such file: it was never sent here, or is forgotten.")
    playable = stored.mime_type.startswith(_SHOWN_INLINE) and "svg" not in stored.mime_type
    headers = {
        "Content-Type": stored.mime_type if playable else "application/octet-stream",
        "Content-Disposition": "inline" if playable else "attachment",
        # A user's file must never act as a page of this origin.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(stored.disk_path, headers=headers)


async def samples(world: World, request: web.Request) -> list[Json]:
    """Give the links that the page offers to try."""
    return [asdict(sample) for sample in world.samples]


async def events(world: World, request: web.Request) -> web.StreamResponse:
    """Stream events until the page goes or the sandbox stops."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    with world.hub.listen() as feed, contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(b": connected\n\n")
        while not world.closing.is_set():
            wire: bytes | None = b": still here\n\n"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_S):
                    wire = await feed.get()
            if wire is None:
                break
            await response.write(wire)
    return response


ROUTES: Final = (
    Route("GET", "/sandbox/state", "Bots, users and the clock", state, schemas.ref("State")),
    Route(
        "GET",
        "/sandbox/messages/{message_id}/traces",
        "The traces of a message, its own first, then linked ones",
        message_traces,
        schemas.listed("Trace"),
        errors=((404, "no such message or bot"),),
    ),
    Route(
        "GET",
        "/sandbox/traces",
        "The newest traces",
        traces,
        schemas.listed("TraceLine"),
        query=(("limit", "how many, 50 if not given"),),
    ),
    Route(
        "GET",
        "/sandbox/traces/{trace_id}",
        "One trace with its spans and log lines",
        trace,
        schemas.ref("Trace"),
        errors=((404, "no such trace"),),
    ),
    Route(
        "GET",
        "/sandbox/calls",
        "The last 1000 Bot API calls; getUpdates only when asked for by name",
        calls,
        schemas.ref("Calls"),
        query=(("method", "only this method"), ("after", "only calls after this seq")),
    ),
    Route(
        "GET",
        "/sandbox/events",
        "Server-Sent Events: message, deleted, callback_answer, chat_action, trace, user, reset",
        events,
        {"type": "string"},
        media="text/event-stream",
    ),
    Route(
        "GET",
        "/sandbox/files/{file_id}",
        "The bytes of a file",
        file,
        {"type": "string", "format": "binary"},
        errors=((404, "no such file"),),
        media="application/octet-stream",
    ),
    Route("GET", "/sandbox/samples", "Links to try", samples, schemas.listed("Sample")),
)
