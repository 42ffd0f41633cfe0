"""DEBUG records for a while, in every process that shares the database: bots, the PASSIVE ones too, and workers.

The end is a moment of the database's clock, so that a restart neither ends nor prolongs it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import select

from app.db.clock import clock
from app.db.models import SwitchRow
from app.db.session import Database, insert_into
from app.telemetry.logs import Verbosity
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

#: Another process follows within so many seconds.
_LOOK_EVERY_S = 5.0
_NAME: Final = "debug_logs"


class SharedVerbosity:
    """The log level of all processes."""

    def __init__(self, database: Database, here: Verbosity) -> None:
        self._database = database
        self._here = here

    async def debug_for(self, seconds: float) -> None:
        """Log at DEBUG for so long, here at once; calling it again starts the time anew."""
        self._here.debug_for(seconds)
        with untraced():
            async with self._database.transaction() as session:
                statement = insert_into(session, SwitchRow).values(name=_NAME, until=clock() + seconds)
                later = {"until": statement.excluded.until}
                await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=later))

    async def run(self) -> None:
        """Follow what was said in any process, until cancelled. Without the database the level stays as it is."""
        complained = False
        while True:
            try:
                left_s = await self._left_s()
                complained = False
            except Exception as error:  # whatever a driver raises means the same: the database is down
                if not complained:
                    _log.info("it cannot be seen whether DEBUG is on (%s)", type(error).__qualname__)
                complained = True
                left_s = 0.0
            if left_s > 0:
                self._here.debug_for(left_s)
                _log.debug("DEBUG records are on for %.0f s more", left_s)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _left_s(self) -> float:
        left = select(SwitchRow.until - clock()).where(SwitchRow.name == _NAME)
        with untraced():
            async with self._database.reading() as session:
                return (await session.scalar(left)) or 0.0
