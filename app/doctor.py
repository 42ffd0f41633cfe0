"""`tracegram doctor`: tries every part on its own and says which link is broken, and how to mend it.

Changes nothing; needs the settings to be readable.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from app.config.settings import Settings
from app.db.session import Database, DatabaseUnreachable
from app.errors import AppError
from app.jobs.engines.ffmpeg import find_ffmpeg

_PATIENCE_S = 5.0
#: Within it the age of a press and the end of a trace are judged well enough; an answer's `Date` has whole seconds.
_SKEW_S = 5.0


class Broken(AppError):
    """A part does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    detail: str


async def examine(settings: Settings) -> int:
    """Print a line for each part. Returns 0 when all of them work, 1 otherwise."""
    findings = [await _try(part, check, settings) for part, check in CHECKS.items()]
    for finding in findings:
        print(f"{'ok    ' if finding.ok else 'BROKEN'}  {finding.part:<10} {finding.detail}")
    return 0 if all(finding.ok for finding in findings) else 1


async def _try(part: str, check: Callable[[Settings], Awaitable[str]], settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return Finding(part, True, await check(settings))
    except AppError as error:
        return Finding(part, False, str(error))
    except TimeoutError:
        return Finding(part, False, f"no answer within {_PATIENCE_S:.0f} s")
    except Exception as error:  # a driver's text may hold addresses and passwords: its kind must do
        return Finding(part, False, f"{type(error).__qualname__}; see the log of the part itself")


async def _database(settings: Settings) -> str:
    database = Database(
        settings.database_url.get_secret_value(), shared_connections=settings.database_shared_connections
    )
    file = database.engine.url.database
    if database.engine.dialect.name == "sqlite" and file and not await asyncio.to_thread(Path(file).exists):
        return "the SQLite file is not there yet; the first start makes it"
    try:
        await database.ping()
    except DatabaseUnreachable as error:
        if not isinstance(error.orig, OSError):
            raise Broken(f"refuses: {type(error.orig).__qualname__}") from error
        raise Broken("does not answer: is the server running, and is DATABASE_URL right?") from error
    finally:
        await database.close()
    return f"{database.engine.dialect.name} answers"


async def _bot_api(settings: Settings) -> str:
    # aiogram is not needed for one call, and takes three seconds to import.
    url = f"{settings.bot_api_url}/bot{settings.bot_token.get_secret_value()}/getMe"
    asked = datetime.now(UTC)
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            answer = await response.json()
    except (aiohttp.ClientError, ValueError) as error:
        raise Broken("does not answer as the Bot API does: is BOT_API_URL right?") from error
    if response.status in (401, 404):
        raise Broken("does not know BOT_TOKEN: ask @BotFather for the current one")
    if not answer.get("ok"):
        raise Broken(f"answers {response.status}")
    _compare_clocks(response.headers, asked)
    return f"knows this bot as @{answer['result']['username']}"


async def _collector(settings: Settings) -> str:
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return "not set: traces stay in the bot (OTEL_EXPORTER_OTLP_ENDPOINT)"
    headers = {"Content-Type": "application/x-protobuf", **settings.otlp_headers()}
    asked = datetime.now(UTC)
    try:
        # An empty request is valid OTLP: a receiver answers 200 to it.
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{endpoint}/v1/traces", data=b"", headers=headers) as response,
        ):
            status = response.status
            answered = response.headers
    except aiohttp.ServerDisconnectedError as error:
        raise Broken("hangs up: this looks like OTLP/gRPC (4317); OTLP/HTTP is needed (4318)") from error
    except aiohttp.ClientError as error:
        raise Broken("does not answer: is the Collector running, is the port right (4318)?") from error
    if status in (401, 403):
        raise Broken(f"answers {status}: set OTEL_EXPORTER_OTLP_HEADERS to what it asks for")
    if status != 200:
        raise Broken(f"answers {status} to an empty trace export: this is no OTLP/HTTP receiver")
    _compare_clocks(answered, asked)
    return "takes OTLP over HTTP"


def _compare_clocks(headers: Mapping[str, str], asked: datetime) -> None:
    """Raises `Broken` when the `Date` of an answer (RFC 9110, section 6.6.1) is not between question and answer, or near."""
    try:
        theirs = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, OverflowError):  # a server without a clock need not send one
        return
    theirs = theirs.replace(tzinfo=UTC)  # an HTTP date is in GMT, whatever else it says
    early_s = (asked - theirs).total_seconds()
    late_s = (theirs - datetime.now(UTC)).total_seconds()
    off_s, way = (late_s, "ahead of") if late_s > 0 else (early_s, "behind")
    if off_s > _SKEW_S:
        raise Broken(
            f"its clock is {off_s:.0f} s {way} this machine's: let NTP set both, or times and ages will be wrong"
        )


async def _ffmpeg(settings: Settings) -> str:
    program = find_ffmpeg(settings.ffmpeg_path or None)
    process = await asyncio.create_subprocess_exec(
        program,
        "-hide_banner",
        "-encoders",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise Broken(f"{program} does not run: install ffmpeg, or set FFMPEG_PATH")
    if b"libmp3lame" not in output:
        raise Broken(f"{program} cannot write mp3 (no libmp3lame): install a full build, or set FFMPEG_PATH")
    return f"{program} can write mp3"


async def _ytdlp(_: Settings) -> str:
    return f"version {importlib.metadata.version('yt-dlp')}; old versions fail on sites that have changed"


CHECKS: dict[str, Callable[[Settings], Awaitable[str]]] = {
    "database": _database,
    "bot api": _bot_api,
    "collector": _collector,
    "ffmpeg": _ffmpeg,
    "yt-dlp": _ytdlp,
}
