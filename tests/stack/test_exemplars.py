"""Every exemplar leads to a trace in Tempo, though of the ordinary traces none is kept here (the share is 0 %)."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from pathlib import Path

from deploy.native.run import Stack
from tests.stack.backends import eventually, get, lines, policies, trace
from tests.stack.bots import bot

_UPDATES = 20
_LATENCY = "bot_update_latency_seconds_bucket"
_NAMED = re.compile(r'^(\w+)\{.* # \{.*trace_id="(\w+)"\}', re.MULTILINE)
#: What may keep an update besides: on a machine that has much to do, it takes long.
_SLOW = {"slow-updates", "late"}


async def test_every_exemplar_leads_to_a_trace_and_no_other_is_kept(stack: Stack, tmp_path: Path) -> None:
    """Of five dots in a graph of ordinary updates, four led nowhere."""
    begun = time.time()
    async with bot(stack, tmp_path) as here:
        sent = []
        for _ in range(_UPDATES):
            sent.append(await here.alice.say("/start"))
            await here.alice.until(lambda message: message["message_id"] > sent[-1]["message_id"])
        updates = [await _received(stack, update["update_id"]) for update in sent]
        named = _NAMED.findall(await here.metrics())
        kept_by = {cid: await _kept_by(stack, cid) for _, cid in named}
        await asyncio.sleep(2.5)  # By now it is decided on the others, too.
        others = [await trace(stack, cid) for cid in updates if cid not in kept_by]

        # As Prometheus has them, of the scrape and of OTLP.
        drawn = await eventually(partial(_drawn, stack, begun), 60)
        for cid in drawn:
            await _kept_by(stack, cid)
        [shown, *_] = [cid for cid in updates if kept_by.get(cid) == {"exemplars"}]
        answer = await here.debug(shown)

    assert _LATENCY in {name for name, _ in named}
    assert {policy for cid in updates for policy in kept_by.get(cid, ())} - _SLOW == {"exemplars"}
    assert others != []
    assert {policy for other in others for policy in policies(other)} <= _SLOW
    assert "Kept by policy exemplars." in answer


async def _received(stack: Stack, update_id: int) -> str:
    query = f'{{service_name="tracegram"}} | event_name="UPDATE_RECEIVED" | update_id="{update_id}"'
    [(told, _)] = await eventually(lambda: lines(stack, query))
    return str(told["trace_id"])


async def _kept_by(stack: Stack, cid: str) -> set[str]:
    """Which policies kept a trace, once it is in Tempo."""
    return policies(await eventually(lambda: trace(stack, cid)))


async def _drawn(stack: Stack, begun: float) -> set[str]:
    """The traces that exemplars name in Prometheus, once both ways have brought some of an update's latency."""
    drawn = set()
    for job in ("tracegram", "otlp/tracegram"):
        found = await get(
            f"{stack.prometheus}/api/v1/query_exemplars",
            query=f'{{job="{job}"}}',
            start=str(begun),
            end="9e9",
        )
        if _LATENCY not in {one["seriesLabels"]["__name__"] for one in found["data"]}:
            return set()
        drawn |= {dot["labels"]["trace_id"] for one in found["data"] for dot in one["exemplars"]}
    return drawn
