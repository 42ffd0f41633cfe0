"""Waits at the start for a server that is not there yet: what is started together does not come up together."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time

import asyncpg
from sqlalchemy.exc import DBAPIError

from app.db.session import Database
from app.grace import wait_at_most

_log = logging.getLogger(__name__)

_PAUSE_S = 1.0
#: It refuses the connection, does not answer it, is starting up, or went down meanwhile.
_NOT_YET = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


async def until_it_answers(database: Database, patience_s: float, stop: asyncio.Event) -> None:
    """Return when the database answers or refuses, `stop` is set, or the patience is over: who asks next hears which."""
    until = time.monotonic() + patience_s
    told = False
    while not stop.is_set():
        try:
            await database.ping()
            return
        except DBAPIError as error:
            # A certificate that is not believed is a refusal, though it calls itself an error of the system.
            if not isinstance(error.orig, _NOT_YET) or isinstance(error.orig, ssl.SSLError):
                return
            kind = type(error.orig).__qualname__
        if time.monotonic() >= until:
            return
        if not told:
            _log.warning("the database does not answer yet (%s); waiting for it", kind)
            told = True
        await wait_at_most(stop, _PAUSE_S)
