"""`python -m tests.chaos [storm|pooled|takeover|ack ...] [--quick]`: prints the numbers and writes `build/chaos.json`; logs are in `build/chaos`.

Without a name it does all, in this order. The exit code is 1 when an update was lost, applied twice, out of order or
written by a leader that was none, and when a takeover or an acknowledgement took longer than promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos import ack as acks
from tests.chaos import storm as storms
from tests.chaos import takeover as takeovers
from tests.chaos.ack import ack
from tests.chaos.storm import storm
from tests.chaos.takeover import takeover
from tests.kit.pgbouncer import pgbouncer
from tests.kit.postgres import Server, server_from_wheel

_OUT = Path("build/chaos.json")
_NAMES = ("storm", "pooled", "takeover", "ack")

_SMALL = storms.Plan(updates=500, chats=50, kills=5, freezes=1, restarts=1)


async def measure(name: str, server: Server, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Run one of them."""
    if name == "storm":
        return await storm(server.url, server.restart, _SMALL if quick else storms.Plan(), folder)
    if name == "pooled":
        with pgbouncer(server.url) as pooler:
            plan = _SMALL if quick else replace(_SMALL, updates=3_000, kills=30, freezes=3)
            return await storm(server.url, server.restart, plan, folder, pooler)
    if name == "ack":
        return await ack(server.url, acks.Plan(measured_s=5) if quick else acks.Plan(), folder)
    runs = takeovers.Plan(kills=3, stops=2) if quick else takeovers.Plan()
    return await takeover(server.url, runs, folder)


def main(arguments: list[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="What survives violence.")
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"one or more of {', '.join(_NAMES)}; all of them"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers: a minute each")
    parser.add_argument("--out", type=Path, default=_OUT, help="where the numbers go (build/chaos.json)")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(_NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    folder = options.out.parent.resolve() / "chaos"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    logging.basicConfig(filename=folder / "chaos.log", level=logging.INFO, format="%(asctime)s %(message)s")
    numbers: dict[str, Any] = {
        "schema": 1,
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count()},
    }
    with server_from_wheel("track_commit_timestamp = on", fsync=True) as server:
        server.control("restart", "fast")
        for one in options.names or _NAMES:
            numbers[one] = asyncio.run(measure(one, server, folder, quick=options.quick))
            print(json.dumps({one: numbers[one]}, indent=1), flush=True)
    options.out.write_text(json.dumps(numbers, indent=1) + "\n")
    return 0 if all(numbers[one]["good"] for one in options.names or _NAMES) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
