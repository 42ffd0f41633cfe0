"""One door of the control API, and how its input is read.

The description at `/sandbox/openapi.json` is built from the same objects as the routing, so neither can have a door
that the other lacks.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web

from app.sandbox.bots import Bot
from app.sandbox.errors import ApiError, ControlError
from app.sandbox.params import BROKEN_BODY, read_bounded, strict_json
from app.sandbox.state import Json
from app.sandbox.world import World

BODY_LIMIT: Final = 1024 * 1024
_T = TypeVar("_T")

Handler = Callable[[World, web.Request], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, what it does, and the shapes that go in and out.

    `answer` and `body` are JSON schemas; `media` is the type of an answer that is not JSON; `errors` maps a status to
    the reason for it.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: Json
    body: Json | None = None
    body_type: str = "application/json"
    query: tuple[tuple[str, str], ...] = ()
    errors: tuple[tuple[int, str], ...] = ()
    media: str = "application/json"


def whole_number(request: web.Request, name: str, default: int) -> int:
    """Read a number from the query.

    Raises:
        ControlError: 400 when it is none.
    """
    raw = request.query.get(name)
    if raw is None or raw == "":
        return default
    if not re.fullmatch(r"[0-9]{1,18}", raw):
        raise ControlError(400, f"The query parameter {name} must be a whole number.")
    return int(raw)


def bot_of(world: World, request: web.Request) -> Bot:
    """Give the bot that `bot_id` names, the youngest when it is not given."""
    bot_id = whole_number(request, "bot_id", 0)
    return world.bot(bot_id or None)


def path_number(request: web.Request, name: str) -> int:
    """Read a number from the path, which the routing has already checked."""
    return int(request.match_info[name])


async def read_object(request: web.Request) -> Json:
    """Read the body as a JSON object.

    Raises:
        ControlError: 400, or 413 over 1 MB.
    """
    try:
        decoded = strict_json(await read_bounded(request.content, BODY_LIMIT))
    except ApiError:
        raise ControlError(413, "The body is over 1 MB.") from None
    except BROKEN_BODY:
        decoded = None
    if not isinstance(decoded, dict):
        raise ControlError(400, "Send a JSON object as the body.")
    return decoded


def only(body: Json, *names: str) -> None:
    """Refuse fields that the door does not know.

    Raises:
        ControlError: 400.
    """
    if unknown := sorted(set(body) - set(names)):
        raise ControlError(400, f"Unknown field {unknown[0][:64]!r}; known are: {', '.join(names)}.")


def field(body: Json, name: str, kind: type[_T], default: _T | None = None) -> _T:
    """Read a field of the body; without a default it must be there.

    Raises:
        ControlError: 400 when it is missing or of another type.
    """
    value: Any = body.get(name)
    if value is None and default is not None:
        return default
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53:
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ControlError(400, f"The field {name!r} must be a {_NAMES[kind]}.")
    return value


_NAMES: Final[dict[type, str]] = {
    str: "string",
    int: "whole number",
    float: "number",
    bool: "true or false",
    dict: "JSON object",
}
