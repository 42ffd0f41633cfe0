"""An update that fails after the Collector has decided on its beginning is kept all the same: the bot brings it back."""

from __future__ import annotations

from pathlib import Path

from deploy.native.run import Stack
from tests.stack.backends import eventually, lines, policies, span_names, trace
from tests.stack.bots import bot


async def test_an_update_that_fails_late_is_kept(stack: Stack, tmp_path: Path) -> None:
    async with bot(stack, tmp_path, UPDATE_DEADLINE_S="6") as here:
        await here.fault(method="sendMessage", kind="delay", delay_s=30)
        sent = await here.alice.say("hello")
        query = (
            f'{{service_name="tracegram"}} | event_name="UPDATE_SET_ASIDE" | update_id="{sent["update_id"]}"'
        )
        [(told, _)] = await eventually(lambda: lines(stack, query), 60)
        kept = await eventually(lambda: trace(stack, told["trace_id"]), 60)
        answer = await here.debug(told["trace_id"])
    assert policies(kept) == {"late"}
    assert {"receive message", "process message", "sendMessage"} <= set(span_names(kept))
    assert "Kept by policy late." in answer
