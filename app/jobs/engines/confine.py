"""Locks the child process in before it reads a stranger's link: limits, one program that it may start, and an
end with its parent. The limits are inherited by that program; the ban on others is not."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from types import FrameType
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STARTING = frozenset({"os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"})
_MEMORY_BYTES = 2 * 1024**3


def die_with_parent(parent_pid: int) -> None:
    """End this process group when the parent dies, however it dies. Linux only; elsewhere it does nothing.

    A signal that kills this process alone would leave its ffmpeg running, so the signal is one that is
    handled, and the handler kills the group.
    """
    signal.signal(signal.SIGTERM, _end_group)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:
        _end_group(signal.SIGTERM, None)


def _end_group(_signal: int, _frame: FrameType | None) -> None:
    os.killpg(0, signal.SIGKILL)


def limit_resources(*, file_bytes: int, cpu_s: int) -> None:
    """Bound every file, the memory and the processor time of this process and of what it starts."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_AS: _MEMORY_BYTES,
        resource.RLIMIT_CPU: cpu_s,
    }
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def allow_only(program: str) -> None:
    """Let this process start `program` and nothing else, for good. Anything else is a PermissionError."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _STARTING or (event == "subprocess.Popen" and args[0] != program):
            raise PermissionError("this process may not start programs")

    sys.addaudithook(hook)
