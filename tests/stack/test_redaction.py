"""A token, a key and a prompt in every place of every signal: none of them gets through the Collector.

They come from a foreign program, past the bot's own redaction. What is left is compared as a whole, so that a signal that
did not arrive at all is no success.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from deploy.native.run import Stack
from tests.stack.backends import eventually, get, lines, scopes, series, text, trace
from tests.stack.otlp import Json, attributes, logs, metrics, new_trace, send, span, spans, value

TOKEN = "7000000001:AAHplantedPlantedPlantedPlantedPlan"
KEY = "sk-plantedKeyOfSomeProvider1234567890"
SESSION = "plantedsession"
PROMPT = "a planted fox in the snow"
_SERVICE = "planted"


def _everywhere(**more: Any) -> list[Json]:
    """Attributes that hold all three, by value and by key, in texts, lists and maps."""
    return [
        *attributes(
            url__full=f"https://api.telegram.org/bot{TOKEN}/getMe",
            login=f"postgres://bot:{KEY}@db/tracegram",
            header=f"Authorization: Bearer {KEY}",
            question=f"https://site.example/?api_key={KEY}&page=2",
            values=["ordinary", KEY],
            nested={"one": {"two": f"token {TOKEN}"}},
            chat=[{"role": "user", "prompt": PROMPT}],
            encoded=f"https://proxy.example/bot{TOKEN.replace(':', '%253A')}/getMe",
            cookie_header=f"Cookie: session={SESSION}; a=b",
            printed=f"{{'password': '{SESSION}'}}",
            gen_ai__prompt=PROMPT,
            prompt=PROMPT,
            message__text=PROMPT,
            enduser__id="123456789",
            user__name=PROMPT,
            exception__message=PROMPT,
            harmless="kept",
            **more,
        ),
        {"key": TOKEN, "value": value("x")},
    ]


_REDACTED = {
    "url.full": "https://api.telegram.org/bot****/getMe",
    "login": "postgres****db/tracegram",
    "header": "Authorization: ****",
    "question": "https://site.example/?****&page=2",
    "values": '["ordinary","****"]',
    "nested": '{"one":{"two":"token ****"}}',
    "chat": '[{****,"role":"user"}]',
    "encoded": "https://proxy.example/bot****/getMe",
    "cookie_header": "****; a=b",
    "printed": "{'****'}",
    **dict.fromkeys(
        ("gen_ai.prompt", "prompt", "message.text", "enduser.id", "user.name", "exception.message"), "****"
    ),
    "harmless": "kept",
}
_SCOPE: Json = {"name": f"scope {TOKEN}", "version": KEY, "attributes": _everywhere()}


def _planted() -> Iterator[str]:
    yield from (TOKEN, TOKEN.partition(":")[2], KEY, PROMPT, SESSION)


def _free_of_secrets(said: str) -> None:
    assert [secret for secret in _planted() if secret in said] == []


def _plain(given: list[Json]) -> Json:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in given}


async def test_spans_with_and_without_events(stack: Stack) -> None:
    """A token in `url.full` reached Tempo when the span had no event."""
    wanted = new_trace()
    common: Json = {"status": {"code": 2, "message": f"{TOKEN} {PROMPT}"}, "traceState": f"a={KEY}"}
    event = {"timeUnixNano": "1", "name": f"sent {TOKEN}", "attributes": _everywhere()}
    await send(
        stack.otlp,
        spans(
            span(wanted, f"GET /bot{TOKEN}/getMe", attributes=_everywhere(), **common),
            span(wanted, f"with {KEY}", attributes=_everywhere(), events=[event], **common),
            scope=_SCOPE,
            resource=_everywhere(service__name=_SERVICE),
        ),
    )

    kept = await eventually(lambda: trace(stack, wanted))

    _free_of_secrets(json.dumps(kept))
    [scope] = scopes(kept)
    assert scope["scope"]["name"] == "hidden"
    assert _plain(scope["scope"]["attributes"]) == {**_REDACTED, "tailsampling.policy": "errors"}
    assert _plain(kept["resourceSpans"][0]["resource"]["attributes"]) == {
        **_REDACTED,
        "service.name": _SERVICE,
    }
    found = {given["name"]: given for given in scope["spans"]}
    assert sorted(found) == ["GET ****", "with ****"]
    assert [_plain(given["attributes"]) for given in found.values()] == [_REDACTED, _REDACTED]
    assert [given["status"] for given in found.values()] == [{"code": "STATUS_CODE_ERROR"}] * 2
    [left] = found["with ****"]["events"]
    assert (left["name"], _plain(left["attributes"])) == ("sent ****", _REDACTED)


async def test_a_record_as_large_as_the_collector_lets_through_is_taken(stack: Stack) -> None:
    service = f"{_SERVICE}-large"
    large = [*attributes(**{f"a{number}": "x" * 17_000 for number in range(50)})]
    await send(
        stack.otlp,
        logs({"body": value("large"), "attributes": large}, resource=attributes(service__name=service)),
    )
    [(told, line)] = await eventually(lambda: lines(stack, f'{{service_name="{service}"}}'))
    kept = {name: text for name, text in told.items() if text.startswith("x")}
    assert (line, [len(text) for text in kept.values()]) == ("large", [16_384] * 50)


async def test_log_records_with_bodies_of_text_and_of_structure(stack: Stack) -> None:
    service = f"{_SERVICE}-logs"
    bodies = (
        f"GET https://api.telegram.org/bot{TOKEN}/getMe with Bearer {KEY}",
        {"said": [f"token {TOKEN}"], "deeper": {"prompt": PROMPT, "key": KEY}, TOKEN: "x"},
    )
    records = [
        {
            "timeUnixNano": str(time.time_ns()),
            "traceId": new_trace(),
            "spanId": "00000000000000aa",
            "eventName": f"EVENT {KEY}",
            "severityNumber": 13,
            "severityText": f"WARN {TOKEN}",
            "body": value(body),
            "attributes": _everywhere(),
        }
        for body in bodies
    ]
    await send(stack.otlp, logs(*records, scope=_SCOPE, resource=_everywhere(service__name=service)))

    async def both() -> list[tuple[Json, str]]:
        found = await lines(stack, f'{{service_name="{service}"}}')
        return found if len(found) == len(bodies) else []

    found = await eventually(both)

    _free_of_secrets(json.dumps(found))
    assert sorted(line for _, line in found) == [
        "GET https://api.telegram.org/bot****/getMe with ****",
        '{"deeper":{"key":"****","prompt":"****"},"said":["token ****"]}',
    ]
    for labels, _ in found:
        assert labels["harmless"] == "kept"
        assert labels["url_full"] == "https://api.telegram.org/bot****/getMe"
        assert labels["gen_ai_prompt"] == "****"


async def test_metrics_with_their_descriptions_and_exemplars(stack: Stack) -> None:
    now = str(time.time_ns())
    exemplar = {
        "timeUnixNano": now,
        "asDouble": 0.2,
        "traceId": new_trace(),
        "spanId": "00000000000000aa",
        "filteredAttributes": _everywhere(),
    }
    point = {
        "startTimeUnixNano": now,
        "timeUnixNano": now,
        "count": "1",
        "sum": 0.2,
        "bucketCounts": ["1", "0"],
        "explicitBounds": [1.0],
        "attributes": _everywhere(),
        "exemplars": [exemplar],
    }
    histogram = {"aggregationTemporality": 2, "dataPoints": [point]}
    metric = {"name": "planted.time", "unit": "s", "description": f"{TOKEN} {PROMPT}", "histogram": histogram}
    resource = _everywhere(service__name=_SERVICE, service__instance__id=KEY)
    await send(stack.otlp, metrics(metric, scope=_SCOPE, resource=resource))

    [found] = await eventually(lambda: series(stack, "planted_time_seconds_sum"))
    window = {"start": str(time.time() - 600), "end": str(time.time() + 60)}
    exemplars = await get(
        f"{stack.prometheus}/api/v1/query_exemplars", query='{__name__=~"planted.*"}', **window
    )
    everything = await get(f"{stack.prometheus}/api/v1/series", **{"match[]": '{job!=""}'}, **window)
    described = await get(f"{stack.prometheus}/api/v1/metadata")

    _free_of_secrets(json.dumps([found, exemplars, everything, described]))
    assert (found["metric"]["harmless"], found["metric"]["url_full"]) == (
        "kept",
        "https://api.telegram.org/bot****/getMe",
    )
    assert [given["exemplars"][0]["labels"] for given in exemplars["data"]] == [
        {"trace_id": exemplar["traceId"], "span_id": "00000000000000aa"}
    ]


async def test_the_collector_itself_says_nothing_of_it(stack: Stack) -> None:
    """Neither in its log, where an export that is refused is told, nor in its own metrics, nor in those of the spans."""
    wanted = new_trace()

    def refusals() -> int:
        return stack.log_of("collector").read_text().count("Dropping data")

    before = refusals()
    # Loki refuses a record of next year.
    record = {
        "timeUnixNano": str(time.time_ns() + 10**16 * 3),
        "body": value(TOKEN),
        "attributes": _everywhere(),
    }
    await send(stack.otlp, logs(record, resource=_everywhere(service__name=_SERVICE)))
    await send(
        stack.otlp,
        spans(
            span(
                wanted,
                f"GET {TOKEN}",
                attributes=attributes(error__type=f"Error {KEY}", telegram__update__type=TOKEN),
                status={"code": 2},
            )
        ),
    )

    async def refused() -> bool:
        return refusals() > before

    await eventually(refused)
    # Of other tests' spans of this name none has an error.
    ours = 'traces_span_metrics_calls_total{job="spans/tracegram",span_name="GET ****",error_type=~".+"}'
    found = await eventually(lambda: series(stack, ours))

    _free_of_secrets(stack.log_of("collector").read_text())
    _free_of_secrets(await text(stack.collector_metrics))
    _free_of_secrets(json.dumps(found))
