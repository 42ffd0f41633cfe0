"""Builds `deploy/Dockerfile` with a real builder, and runs what comes out as an engine would, without an engine.

The official Python image cannot be had on every machine: a Debian of the same release with Debian's own Python of the
same minor version stands in for it. So the steps and the files are the real ones, and the base is not.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.native.manifests import cache
from tests.kit.repository import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_TAG = "localhost/tracegram:test"

#: The stand-in. It gets this machine's certificates, which may have to know a proxy.
_BASE = """
set -eu
folder=$1 release=$2
debootstrap --variant=minbase "$release" "$folder" >&2
cp /etc/resolv.conf "$folder/etc/resolv.conf"
chroot "$folder" apt-get update -qq
DEBIAN_FRONTEND=noninteractive chroot "$folder" apt-get install -qq --no-install-recommends ca-certificates python3 python3-venv >&2
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
rm -rf "$folder"/var/lib/apt/lists/*
ln -s /usr/bin/python3 "$folder/usr/local/bin/python"
"""

#: What an engine does with `--read-only --cap-drop=ALL --security-opt=no-new-privileges --network=host`.
_RUN = """
set -eu
root=$1 state=$2 secrets=$3 home=$4 uid=$5
shift 5
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$state" "$root$home"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/secrets"
mount --bind "$secrets" "$root/run/secrets"
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --bounding-set=-all \\
    env -i -C "$home" "$@"
"""


@dataclass(frozen=True)
class Image:
    """An image that was built: its files, unpacked, and its settings as an engine reads them."""

    root: Path
    config: dict[str, Any]

    async def start(self, state: Path, secrets: Path, *command: str, **environment: str) -> Process:
        """Start a command in the image. Only `state` is writable; `secrets` is `/run/secrets`."""
        settings = [*self.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        (home,) = self.config["Volumes"]
        uid, _, _ = self.config["User"].partition(":")
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
        return await asyncio.create_subprocess_exec(
            *namespaces,
            *("sh", "-c", _RUN, "sh", self.root, state, secrets, home, uid, *settings, *command),
            stdout=PIPE,
            stderr=PIPE,
        )


@contextmanager
def built() -> Iterator[Image]:
    """Build the image; its files are there as long as the context is open. Raises `CalledProcessError` with the log shown."""
    subprocess.run([ROOT / "scripts" / "setup-image"], check=True)
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_base()
        options = ("--isolation", "chroot", "--pull-never", "--format", "docker")
        _buildah("build", *options, "--file", str(DOCKERFILE), "--tag", _TAG, str(ROOT))
        container = _buildah("from", "--pull-never", _TAG)
        try:
            inspected = json.loads(_buildah("inspect", "--type", "image", _TAG))
            yield Image(Path(_buildah("mount", container)), inspected["Docker"]["config"])
        finally:
            _buildah("rm", container)
            # What earlier builds have left and nothing uses.
            _buildah("rmi", "--prune")


def _make_base() -> None:
    name = base()
    if _buildah("images", "--noheading", "--filter", f"reference={name}", "--quiet"):
        return
    release = name.rpartition("-")[2]
    container = _buildah("from", "scratch")
    folder = _buildah("mount", container)
    subprocess.run(["sh", "-c", _BASE, "sh", folder, release], check=True, env=os.environ | {"PATH": _path()})
    _buildah("config", "--env", f"PATH=/usr/local/bin:{_path()}", container)
    _buildah("commit", "--rm", container, name)


def base() -> str:
    """The whole name of the image that the Dockerfile starts from."""
    found = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None
    return f"docker.io/library/{found[1]}"


def _path() -> str:
    return "/usr/sbin:/usr/bin:/sbin:/bin"


def _buildah(*arguments: str) -> str:
    storage = cache() / "image"
    options = ["--root", str(storage / "storage"), "--runroot", str(storage / "run")]
    done = subprocess.run(["buildah", *options, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()
