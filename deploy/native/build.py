"""Builds the stack's programs from their manifests, with Go modules alone.

A build happens in a folder of its own and is moved into place when it is whole; one builder at a time, across all checkouts.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.native import manifests
from deploy.native.manifests import built, cache, home
from deploy.native.toolchain import environment, go, go_caches

PROGRESS_EVERY = 15.0
LINES_KEPT = 30


class BuildFailed(Exception):
    """A program could not be built; the text holds the last lines of the builder and what to do."""


def program(name: str) -> Path:
    """The binary of a program of the stack (`promtool`, `otelcol`, ...), built first when it is not there.

    Raises `LookupError` for an unknown name and `BuildFailed` when it cannot be built.
    """
    manifest = manifests.manifest_of(name)
    build([manifest])
    return home(manifest) / name


def build(names: Sequence[str]) -> None:
    """Builds what is missing of the named manifests, one after the other, and says how far it is on standard error.

    Raises `BuildFailed`; what was built before stays.
    """
    for manifest in [name for name in names if not built(name)]:
        with _alone():
            if not built(manifest):
                _build(manifest)
            if not manifests.missing():
                _say("all programs are built, removing Go's caches")
                shutil.rmtree(go_caches(), ignore_errors=True)


def _build(manifest: str) -> None:
    started = time.monotonic()
    _say(f"building {', '.join(manifests.MANIFESTS[manifest])} from source (once; some minutes)")
    work = cache() / f"building-{manifest}"
    shutil.rmtree(work, ignore_errors=True)  # What a builder that was killed has left.
    binaries = work / "binaries"
    try:
        go_command = go()
        shutil.copytree(manifests.BUILD / manifest, work / "manifest")
        binaries.mkdir()
        source, what, target = _source(go_command, manifest, work / "manifest")
        _run(
            [str(go_command), "build", "-v", "-ldflags=-s -w", "-o", f"{binaries}/{target}", what],
            source,
            manifest,
        )
        shutil.rmtree(home(manifest), ignore_errors=True)  # One of its binaries was removed.
        binaries.rename(home(manifest))
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildFailed(f"{manifest} could not be built: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _say(f"built {manifest} in {time.monotonic() - started:.0f} s")


def _source(go_command: Path, manifest: str, folder: Path) -> tuple[Path, str, str]:
    """Where to build, what, and into which file: the tools of the `go.mod`, or what the Collector's builder writes."""
    if not (folder / "builder.yaml").exists():
        return folder, "tool", ""
    _run(
        [str(go_command), "tool", "builder", "--config=builder.yaml", "--skip-compilation"], folder, manifest
    )
    return folder / "dist", ".", manifests.MANIFESTS[manifest][0]


def _run(command: list[str], folder: Path, manifest: str) -> None:
    started = shown = time.monotonic()
    kept: deque[str] = deque(maxlen=LINES_KEPT)
    compiled = 0
    with subprocess.Popen(
        ["nice", "-n", "10", *command],
        cwd=folder,
        env=environment(Path(command[0])),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            kept.append(line)
            compiled += not line.startswith(("go: ", "\t"))
            if time.monotonic() - shown > PROGRESS_EVERY:
                shown = time.monotonic()
                _say(f"{manifest}: {shown - started:.0f} s, {compiled} packages, {line.strip()[:80]}")
    if process.returncode:
        raise BuildFailed(
            f"{manifest} could not be built ({' '.join(command[1:3])} ended with {process.returncode}):\n"
            f"{''.join(kept)}"
            "Mend what the last lines say (network, disk space, memory) and start again; what is built already stays built."
        )


@contextmanager
def _alone() -> Iterator[None]:
    """One builder at a time: two would fill the memory of a small machine, and one removes the caches of the other."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"stack: {text}", file=sys.stderr, flush=True)
