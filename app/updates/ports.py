"""What the parts of this package are to each other and to the bot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from app.updates.claims import GivenUp
from app.updates.envelope import Envelope
from app.updates.turn import Turn

DoorName = Literal["webhook", "polling"]
#: What became of an update at the door.
Received = Literal["stored", "duplicate", "rejected"]
#: Stores one update. Raises `InboxFull` and `InboxUnavailable`.
Receive = Callable[[Envelope, DoorName], Awaitable[Received]]


class Processor(Protocol):
    """What the leader hands its updates to; the bot implements it."""

    async def process(self, turn: Turn) -> None:
        """Process one update; what becomes of it is told to the turn."""

    async def hurry(self, body: str, traceparent: str) -> None:
        """Answer a press that has to wait, so that its button stops spinning. Raises nothing."""

    async def give_up(self, update: GivenUp) -> None:
        """Tell people of an update that was set aside. What it raises is logged."""
