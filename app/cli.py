"""The command line: `tracegram run | worker | demo | sandbox | migrate | doctor | rules`.

Each command imports what it needs by itself: aiogram takes three seconds, and the sandbox does without it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import traceback
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from app import __version__
from app.errors import AppError

if TYPE_CHECKING:
    from app.telemetry.setup import Telemetry


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 failed, 2 wrongly called or set up."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except AppError as error:
        print(f"tracegram: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # Where it happened, without its text: nobody has checked that for secrets.
        traceback.print_tb(error.__traceback__)
        print(f"tracegram: {type(error).__qualname__}, which nobody foresaw", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tracegram", description="A Telegram bot whose every update is one OpenTelemetry trace."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")

    command = commands.add_parser("run", help="run the bot with the settings of the environment and .env")
    command.add_argument("--with-parent", action="store_true", help="stop when the starting process is gone")
    command.set_defaults(command=_run)
    command = commands.add_parser("worker", help="run jobs only; any number may share a database")
    command.set_defaults(command=_worker)

    command = commands.add_parser("demo", help="run the bot in the local Telegram; needs no token")
    command.add_argument("--play", action="store_true", help="play the main job without a browser, and end")
    command.add_argument("--port", type=int, help="port of the chat page; 0 picks a free one")
    command.set_defaults(command=_demo)

    command = commands.add_parser("sandbox", help="run the local Telegram alone, for any bot")
    command.add_argument("--host", default="127.0.0.1", help="address to bind to")
    command.add_argument("--port", type=int, default=8090, help="port; 0 picks a free one")
    command.add_argument("--token", help="make this bot at once instead of at its first call")
    command.add_argument(
        "--media-url", help="serve a small media site, too; its address as bots reach it, with its port"
    )
    command.set_defaults(command=_sandbox)

    command = commands.add_parser("migrate", help="bring the database to a schema revision")
    command.add_argument(
        "revision", nargs="?", default="head", choices=("head", "base"), help="newest (default) or empty"
    )
    command.set_defaults(command=_migrate)
    command = commands.add_parser("doctor", help="check every part and name the link that is broken")
    command.set_defaults(command=_doctor)
    command = commands.add_parser("rules", help="print Prometheus' rules with the thresholds of the settings")
    command.set_defaults(command=_rules)
    return parser


def _run(options: argparse.Namespace) -> int:
    from app.config.settings import load

    settings = load()
    from app.main import run, start_telemetry

    telemetry = start_telemetry(settings)
    return _to_its_end(telemetry, run(settings, telemetry, with_parent=options.with_parent))


def _worker(_: argparse.Namespace) -> int:
    from app.config.settings import load

    settings = load()
    from app.main import run_worker, start_telemetry

    telemetry = start_telemetry(settings)
    return _to_its_end(telemetry, run_worker(settings, telemetry))


def _to_its_end(telemetry: Telemetry, work: Coroutine[Any, Any, None]) -> int:
    """Run a server. A crash goes to the log without its text, which nobody has checked for secrets."""
    # What was imported stays: a garbage collection need not walk through it again, for 50 ms each time.
    gc.collect()
    gc.freeze()
    try:
        asyncio.run(work)
    except AppError:
        raise
    except Exception as error:
        causes = list(_causes(error))
        crash = next((cause for cause in causes if not isinstance(cause, AppError)), None)
        if crash is not None:
            logging.getLogger("app.cli").critical("the process cannot go on", exc_info=crash)
        # What a person can mend is said, whatever else broke with it.
        for cause in causes:
            if isinstance(cause, AppError):
                raise cause from None
        return 1
    finally:
        telemetry.shutdown()
    return 0


def _causes(error: Exception) -> Iterator[Exception]:
    """What parts of the process raised, in their order: several may end at once."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _demo(options: argparse.Namespace) -> int:
    from app.config.demo import demo_port
    from app.demo import demo, play

    port = demo_port() if options.port is None else options.port
    return asyncio.run(play() if options.play else demo(port))


def _sandbox(options: argparse.Namespace) -> int:
    from app.demo import sandbox_alone

    return asyncio.run(sandbox_alone(options.host, options.port, options.token, options.media_url))


def _migrate(options: argparse.Namespace) -> int:
    from app.config.settings import load
    from app.db.migrate import migrate
    from app.db.session import Database

    async def go() -> None:
        settings = load()
        database = Database(
            settings.database_url.get_secret_value(), shared_connections=settings.database_shared_connections
        )
        try:
            await migrate(database, options.revision)
        finally:
            await database.close()

    asyncio.run(go())
    print(f"the database is at {options.revision}")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from app.config.settings import load
    from app.doctor import examine

    return asyncio.run(examine(load()))


def _rules(_: argparse.Namespace) -> int:
    from app.alerts.groups import rules_file
    from app.config.alerting import load_alerting, unknown

    thresholds = load_alerting()
    for line in unknown():
        print(f"tracegram: {line}", file=sys.stderr)
    if not thresholds.runbook_url:
        print(
            "tracegram: without RUNBOOK_URL the alerts name their runbooks by a path, not a link",
            file=sys.stderr,
        )
    print(rules_file(thresholds), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
