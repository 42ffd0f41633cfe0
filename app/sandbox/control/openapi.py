"""The description of the control API in OpenAPI 3.1, built from its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from app.sandbox.control.route import Route
from app.sandbox.control.schemas import COMPONENTS, TEXT, WHOLE, Schema, ref

_TEXT_IN_PATH: Final = frozenset({"trace_id", "file_id"})
_TEXT_IN_QUERY: Final = frozenset({"method"})


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Describe the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sandbox Telegram",
            "version": "1",
            "description": "Plays the users of a local Telegram and steers it. Only loopback host names are answered.",
        },
        "paths": paths,
        "components": {"schemas": COMPONENTS},
    }


def _operation(route: Route) -> dict[str, Any]:
    words = re.findall(r"\w+", route.path.removeprefix("/sandbox/"))
    operation: dict[str, Any] = {
        "operationId": "_".join([route.method.lower(), *words]),
        "summary": route.summary,
        "parameters": [*_in_path(route.path), *_in_query(route)],
        "responses": {"200": {"description": "done", "content": {route.media: {"schema": route.answer}}}},
    }
    forbidden = (403, "the Host header is no loopback name, or the request comes from a foreign page")
    for status, reason in (*route.errors, forbidden):
        told = {"application/json": {"schema": ref("Error")}}
        operation["responses"][str(status)] = {"description": reason, "content": told}
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {route.body_type: {"schema": route.body}}}
    return operation


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        _parameter(name, "path", TEXT if name in _TEXT_IN_PATH else WHOLE)
        for name in re.findall(r"{(\w+)}", path)
    ]


def _in_query(route: Route) -> list[dict[str, Any]]:
    named = [
        {**_parameter(name, "query", TEXT if name in _TEXT_IN_QUERY else WHOLE), "description": meaning}
        for name, meaning in route.query
    ]
    bot = {**_parameter("bot_id", "query", WHOLE), "description": "which bot; the youngest if not given"}
    return [*named, bot]


def _parameter(name: str, place: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}
