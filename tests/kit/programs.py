"""Starts `tracegram` as a person would: a process of its own, with nothing in its environment but what is given."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

_ROOT = Path(__file__).parents[2]


async def start(folder: Path, *arguments: str, **settings: str) -> Process:
    """Start a command in `folder`, which is also its home and temp folder."""
    base = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(_ROOT),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        cwd=folder,
        env=base | settings,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )


async def run(folder: Path, *arguments: str, **settings: str) -> tuple[int | None, str, str]:
    """Run a command to its end; gives its code, stdout and stderr."""
    process = await start(folder, *arguments, **settings)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
