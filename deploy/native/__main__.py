"""The command line: `python -m deploy.native build | up | down`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

from deploy.native.build import BuildFailed, build
from deploy.native.manifests import MANIFESTS, manifest_of
from deploy.native.ports import Ports, PortTaken, free
from deploy.native.processes import NotStarted
from deploy.native.up import AlreadyUp, down, up

_FOLDER = Path("build") / "stack"


def main(arguments: list[str]) -> int:
    """Runs one command and returns its exit status: 1 with a message on standard error when it fails."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "build":
            build([manifest_of(name) for name in chosen.program] or list(MANIFESTS))
        elif chosen.command == "up":
            asyncio.run(up(chosen.folder.resolve(), _ports(chosen)))
        else:
            print(f"{down(chosen.folder.resolve())} processes ended")
    except (AlreadyUp, BuildFailed, LookupError, NotStarted, PortTaken) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.native", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "build", help="build what is missing, or what is missing of the named programs"
    )
    command.add_argument("program", nargs="*", help="a program of the stack, such as promtool")
    command = commands.add_parser(
        "up", help="build what is missing and start all of it with the bot in a sandbox"
    )
    command.add_argument("--folder", type=Path, default=_FOLDER, help="where logs and data are kept")
    command.add_argument(
        "--free-ports", action="store_true", help="take ports that are free instead of the usual ones"
    )
    names = ", ".join(field.name for field in fields(Ports))
    command.add_argument("--port", action="append", default=[], metavar="NAME=NUMBER", help=f"one of {names}")
    command = commands.add_parser("down", help="end what `up` has started")
    command.add_argument("--folder", type=Path, default=_FOLDER)
    return parser


def _ports(chosen: argparse.Namespace) -> Ports:
    ports = free() if chosen.free_ports else Ports()
    for name, _, number in (pair.partition("=") for pair in chosen.port):
        if name not in asdict(ports) or not number.isdigit():
            raise LookupError(
                f"--port {name}={number}: the stack has no such port; it has {', '.join(asdict(ports))}"
            )
        ports = replace(ports, **{name: int(number)})
    return ports


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
