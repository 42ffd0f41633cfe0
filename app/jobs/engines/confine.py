"""Locks the child process in before it reads a stranger's link: limits, one program that it may start, and an
end with its parent. That program inherits the limits, but neither the ban on others nor the end."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import resource
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_STARTING = frozenset({"os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"})
# ffmpeg's threads reserve far more addresses than they use.
_MEMORY_BYTES = 1024**3
_PARSING_BYTES = 384 * 1024**2


def die_with_parent(parent_pid: int) -> None:
    """Have this process killed when its parent ends, however it ends. Linux only; elsewhere it does nothing.

    It holds beyond an exec, but not for processes started from here: each must ask for itself.
    """
    if sys.platform == "linux":
        # No signal that Python handles: it would wait for the end of a regular expression.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


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


def bound_parsing(cpu_s: float) -> None:
    """Bound the memory more closely, and the processor time from now on, until `end_parsing`.

    A call begins the time anew. Out of memory is a MemoryError; out of time is a death by SIGXCPU.
    """
    _limit_softly(resource.RLIMIT_AS, _PARSING_BYTES)
    _limit_softly(resource.RLIMIT_CPU, math.ceil(time.process_time() + cpu_s))


def end_parsing() -> None:
    """Leave the limits of `limit_resources` alone in force."""
    for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
        _limit_softly(which, resource.RLIM_INFINITY)


def _limit_softly(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    given = [limit for limit in (value, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(which, (min(given, default=hard), hard))


def allow_only(program: str) -> None:
    """Let this process start `program` and nothing else, for good. Anything else is a PermissionError."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _STARTING or (event == "subprocess.Popen" and args[0] != program):
            raise PermissionError(errno.EPERM, "this process may not start programs")

    sys.addaudithook(hook)
