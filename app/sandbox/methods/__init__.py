"""The methods of the Bot API that the sandbox knows, in one table; names match without regard to case."""

from __future__ import annotations

from typing import Final

from app.sandbox.methods import about, chats, edit, intake, send
from app.sandbox.methods.call import Handler

METHODS: Final[dict[str, Handler]] = {
    **about.METHODS,
    **intake.METHODS,
    **send.METHODS,
    **edit.METHODS,
    **chats.METHODS,
}
NAMES: Final = {name.lower(): name for name in METHODS}
