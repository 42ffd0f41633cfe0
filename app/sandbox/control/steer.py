"""Doors to steer: faults, raw and repeated updates, the clock, a fresh start."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Final

from aiohttp import web

from app.sandbox.control import schemas
from app.sandbox.control.route import Route, bot_of, field, only, path_number, read_object
from app.sandbox.control.watch import clock_view
from app.sandbox.errors import ControlError
from app.sandbox.faults import FILE, KINDS
from app.sandbox.methods import NAMES
from app.sandbox.state import Json
from app.sandbox.updates import KNOWN_TYPES
from app.sandbox.world import World

_OFFSET_LIMIT_S: Final = 10 * 365 * 86400.0
_DELAY_LIMIT_S: Final = 300.0
_TIMES_LIMIT: Final = 1_000_000


async def list_faults(world: World, request: web.Request) -> list[Json]:
    """Give the faults that still wait for a call."""
    return world.faults.listing()


async def add_fault(world: World, request: web.Request) -> Json:
    """Order a fault."""
    body = await read_object(request)
    only(body, "method", "kind", "error_code", "description", "retry_after", "delay_s", "times", "after")
    order: Json = {
        "method": _method(field(body, "method", str)),
        "kind": field(body, "kind", str),
        "error_code": field(body, "error_code", int, 500),
        "description": field(body, "description", str, "") or None,
        "retry_after": field(body, "retry_after", int, 0) or None,
        "delay_s": field(body, "delay_s", float, 0.0),
        "times": field(body, "times", int, 1),
        "after": field(body, "after", bool, False),
    }
    if order["kind"] not in KINDS:
        raise ControlError(400, f"The kind must be one of {', '.join(KINDS)}.")
    if not 400 <= order["error_code"] <= 599:
        raise ControlError(400, "The error_code must be an HTTP status from 400 to 599.")
    if not 0 <= order["delay_s"] <= _DELAY_LIMIT_S:
        raise ControlError(400, "The delay_s must be from 0 to 300 seconds.")
    if not 1 <= order["times"] <= _TIMES_LIMIT or not 0 <= (order["retry_after"] or 0) < _TIMES_LIMIT:
        raise ControlError(400, "times must be from 1, and retry_after from 0, to a million.")
    return asdict(world.faults.add(order))


def _method(given: str) -> str:
    if given in ("*", FILE):
        return given
    if given.lower() not in NAMES:
        raise ControlError(400, "The method must be one that the sandbox knows, '*' or 'file'.")
    return NAMES[given.lower()]


async def clear_faults(world: World, request: web.Request) -> Json:
    """Forget all faults."""
    world.faults.clear()
    return {}


async def inject(world: World, request: web.Request) -> Json:
    """Queue an update as it is given."""
    bot = bot_of(world, request)
    body = await read_object(request)
    kinds = [name for name in body if name in KNOWN_TYPES and isinstance(body[name], dict)]
    if len(body) != 1 or len(kinds) != 1:
        raise ControlError(
            400, "Send an Update without update_id: one known type, such as message, with its object."
        )
    return {"update_id": bot.updates.put(kinds[0], body[kinds[0]])}


async def redeliver(world: World, request: web.Request) -> Json:
    """Queue an update a second time."""
    update_id = path_number(request, "update_id")
    if not bot_of(world, request).updates.repeat(update_id):
        raise ControlError(404, "There is no such update among the last 1000 of this bot.")
    return {"update_id": update_id}


async def read_clock(world: World, request: web.Request) -> Json:
    """Give the virtual time."""
    return clock_view(world)


async def advance_clock(world: World, request: web.Request) -> Json:
    """Jump forward in time."""
    body = await read_object(request)
    only(body, "advance_s")
    seconds = field(body, "advance_s", float)
    if not math.isfinite(seconds) or seconds < 0 or world.clock.offset_s + seconds > _OFFSET_LIMIT_S:
        raise ControlError(
            400, "advance_s must be 0 or more seconds, at most ten years in all: the clock never goes back."
        )
    world.clock.advance(seconds)
    return clock_view(world)


async def reset(world: World, request: web.Request) -> Json:
    """Forget what happened."""
    world.reset()
    return {}


_NO_BOT: Final = (404, "no such bot")
ROUTES: Final = (
    Route("GET", "/sandbox/faults", "Faults that still wait", list_faults, schemas.listed("Fault")),
    Route(
        "POST",
        "/sandbox/faults",
        "Order a fault; '*' is every method but getUpdates, 'file' the downloads",
        add_fault,
        schemas.ref("Fault"),
        body=schemas.NEW_FAULT,
        errors=((400, "wrong fields"),),
    ),
    Route("DELETE", "/sandbox/faults", "Forget all faults", clear_faults, schemas.EMPTY),
    Route(
        "POST",
        "/sandbox/updates",
        "Queue a raw update",
        inject,
        schemas.ref("Queued"),
        body=schemas.RAW_UPDATE,
        errors=((400, "not one known type"), _NO_BOT),
    ),
    Route(
        "POST",
        "/sandbox/updates/{update_id}/redeliver",
        "Deliver an update a second time",
        redeliver,
        schemas.ref("Queued"),
        errors=((404, "no such update or bot"),),
    ),
    Route("GET", "/sandbox/clock", "The virtual time", read_clock, schemas.ref("Clock")),
    Route(
        "POST",
        "/sandbox/clock",
        "Advance the virtual time",
        advance_clock,
        schemas.ref("Clock"),
        body=schemas.ADVANCE,
        errors=((400, "not a number of seconds from 0"),),
    ),
    Route(
        "POST",
        "/sandbox/reset",
        "Forget chats, updates, faults, traces and calls; users, bots, files and the clock stay",
        reset,
        schemas.EMPTY,
    ),
)
