"""OTLP as a foreign program would send it: JSON over HTTP, with whatever a test wants to plant."""

from __future__ import annotations

import secrets
import time
from typing import Any

import aiohttp

Json = dict[str, Any]


def attributes(**values: Any) -> list[Json]:
    """Attributes by name; a dot is written as two underscores."""
    return [{"key": key.replace("__", "."), "value": value(given)} for key, given in values.items()]


def value(given: Any) -> Json:
    """One value, of whatever kind OTLP knows."""
    match given:
        case bool():
            return {"boolValue": given}
        case int():
            return {"intValue": str(given)}
        case float():
            return {"doubleValue": given}
        case list():
            return {"arrayValue": {"values": [value(item) for item in given]}}
        case dict():
            return {
                "kvlistValue": {"values": [{"key": key, "value": value(item)} for key, item in given.items()]}
            }
        case _:
            return {"stringValue": str(given)}


def new_trace() -> str:
    """A trace ID that nobody has."""
    return secrets.token_hex(16)


def span(trace_id: str, name: str = "process message", *, seconds: float = 0.01, **more: Any) -> Json:
    """A span that ended now; `more` are fields of the protocol, and win."""
    now = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": name,
        "kind": 5,
        "startTimeUnixNano": str(now - int(seconds * 1e9)),
        "endTimeUnixNano": str(now),
        **more,
    }


def spans(*given: Json, scope: Json | None = None, resource: list[Json] | None = None) -> Json:
    """A request that brings spans of one scope, from the service `tracegram` if no resource is given."""
    scopes = [{"scope": scope or {"name": "app.test"}, "spans": list(given)}]
    return {"resourceSpans": [{"resource": _resource(resource), "scopeSpans": scopes}]}


def logs(*given: Json, scope: Json | None = None, resource: list[Json] | None = None) -> Json:
    """A request that brings log records."""
    scopes = [{"scope": scope or {"name": "app.test"}, "logRecords": list(given)}]
    return {"resourceLogs": [{"resource": _resource(resource), "scopeLogs": scopes}]}


def metrics(*given: Json, scope: Json | None = None, resource: list[Json] | None = None) -> Json:
    """A request that brings metrics."""
    scopes = [{"scope": scope or {"name": "app.test"}, "metrics": list(given)}]
    return {"resourceMetrics": [{"resource": _resource(resource), "scopeMetrics": scopes}]}


async def send(collector: str, body: Json) -> None:
    """Send one request to the Collector; it must take the whole."""
    signal = next(name for name in ("Spans", "Logs", "Metrics") if f"resource{name}" in body)
    path = "traces" if signal == "Spans" else signal.lower()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{collector}/v1/{path}", json=body) as answer,
    ):
        text = await answer.text()
        assert (answer.status, text) == (200, '{"partialSuccess":{}}')


def _resource(given: list[Json] | None) -> Json:
    return {"attributes": attributes(service__name="tracegram") if given is None else given}
