"""An update that fails after the Collector has decided on its beginning is kept all the same: the bot brings it back."""

from __future__ import annotations

from pathlib import Path

from deploy.native.run import Stack
from tests.stack.backends import Json, eventually, lines, policies, span_names, trace
from tests.stack.bots import bot


async def test_an_update_that_fails_late_is_kept(stack: Stack, tmp_path: Path) -> None:
    names = {"receive callback_query", "process callback_query", "editMessageText"}
    async with bot(stack, tmp_path, UPDATE_DEADLINE_S="6") as here:
        await here.alice.say("/start")
        menu = await here.alice.until(lambda m: m["keyboard"])
        # Alertmanager, which writes to the same Telegram, never calls this.
        await here.fault(method="editMessageText", kind="delay", delay_s=30)
        sent = await here.alice.press(menu["message_id"], "mm.help")
        query = (
            f'{{service_name="tracegram"}} | event_name="UPDATE_SET_ASIDE" | update_id="{sent["update_id"]}"'
        )
        [(told, _)] = await eventually(lambda: lines(stack, query), 60)

        async def whole() -> Json:
            """Its end may come in a batch of its own."""
            found = await trace(stack, told["trace_id"])
            return found if names <= set(span_names(found)) else {}

        kept = await eventually(whole, 60)
        answer = await here.debug(told["trace_id"])
    assert policies(kept) == {"late"}
    assert "Kept by policy late." in answer
