"""What the Collector keeps, why, and what it drops: nothing of the ordinary is kept here (the share is 0 %)."""

import asyncio
from typing import Any

import pytest

from deploy.native.run import Stack
from tests.stack.backends import eventually, policies, series, span_names, trace
from tests.stack.otlp import attributes, new_trace, send, span, spans

_ORDINARY = {"telegram.update.type": "message", "telegram.update.outcome": "handled"}


def _update(
    trace_id: str, name: str = "process message", *, seconds: float = 0.01, **marks: Any
) -> dict[str, Any]:
    given = {key.replace("__", "."): value for key, value in marks.items()}
    return span(trace_id, name, seconds=seconds, attributes=attributes(**{**_ORDINARY, **given}))


_KEPT: dict[str, dict[str, Any]] = {
    "errors": {"status": {"code": 2}},
    "rejections": {"attributes": attributes(reason_code="STATE_MISMATCH")},
    "payments": {"attributes": attributes(telegram__update__type="pre_checkout_query")},
    "jobs": {"attributes": attributes(messaging__destination__name="jobs.download")},
    "alerts": {"attributes": attributes(alert__name="HighErrorRate")},
    "failovers": {"attributes": attributes(tracegram__lease__epoch=2)},
    "slow-updates": {"seconds": 1.5, "attributes": attributes(telegram__update__type="message")},
    "exemplars": {"attributes": attributes(tracegram__exemplar=True)},
}


@pytest.mark.parametrize("policy", _KEPT)
async def test_what_matters_is_kept_whole_and_says_why(stack: Stack, policy: str) -> None:
    wanted = new_trace()
    await send(stack.otlp, spans(span(wanted, "receive message"), span(wanted, "marked", **_KEPT[policy])))

    kept = await eventually(lambda: trace(stack, wanted))

    assert (span_names(kept), policies(kept)) == (["marked", "receive message"], {policy})


@pytest.mark.parametrize("marks", [{}, {"reason_code": "SUCCESS"}], ids=["ordinary", "successful"])
async def test_what_is_ordinary_is_counted_and_dropped(stack: Stack, marks: dict[str, Any]) -> None:
    dropped, after = new_trace(), new_trace()
    name = f"process {dropped[:6]}"
    await send(stack.otlp, spans(_update(dropped, name, **marks)))
    await asyncio.sleep(1.5)  # The decision about it falls before the next one's.
    await send(stack.otlp, spans(_update(after, reason_code="STATE_MISMATCH")))

    counted = await eventually(
        lambda: series(stack, f'traces_span_metrics_calls_total{{span_name="{name}"}} > 0')
    )
    await eventually(lambda: trace(stack, after))

    assert [(found["value"][1], found["metric"]["telegram_update_outcome"]) for found in counted] == [
        ("1", "handled")
    ]
    assert await trace(stack, dropped) == {}


@pytest.mark.parametrize("why", ["debug", "linked"])
async def test_what_was_dropped_is_kept_when_the_bot_sends_it_again(stack: Stack, why: str) -> None:
    wanted = new_trace()
    name = f"process {wanted[:6]}"
    await send(stack.otlp, spans(_update(wanted, name)))
    counted = await eventually(
        lambda: series(stack, f'traces_span_metrics_calls_total{{span_name="{name}"}} > 0')
    )
    await asyncio.sleep(2.5)
    assert await trace(stack, wanted) == {}

    scope = {"name": "tracegram.again", "attributes": attributes(tailsampling__policy=why)}
    await send(stack.otlp, spans(_update(wanted, name, tracegram__keep=why), scope=scope))
    kept = await eventually(lambda: trace(stack, wanted))
    await asyncio.sleep(2.5)
    again = await series(stack, f'traces_span_metrics_calls_total{{span_name="{name}"}} > 0')

    assert (span_names(kept), policies(kept)) == ([name], {why})
    assert [found["value"][1] for found in (*counted, *again)] == ["1", "1"]
