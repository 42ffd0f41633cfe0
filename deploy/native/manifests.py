"""Which program comes from which manifest, and where its binary is kept.

A binary is found by the hash of its manifest, so a changed version is built anew and an old one is never taken for it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

BUILD = Path(__file__).parents[1] / "build"

# In the order in which they are built: the quick ones first, and those that the rules' tests wait for.
MANIFESTS: dict[str, tuple[str, ...]] = {
    "alertmanager": ("alertmanager", "amtool"),
    "prometheus": ("prometheus", "promtool"),
    "collector": ("otelcol",),
    "loki": ("loki",),
    "tempo": ("tempo",),
    "caddy": ("caddy",),
    # Docker Compose's main package has no other name.
    "compose": ("cmd",),
}


def cache() -> Path:
    """The folder of everything built, shared by all checkouts: under `TRACEGRAM_CACHE`, else the user's cache folder."""
    own = os.environ.get("TRACEGRAM_CACHE")
    if own:
        return Path(own) / "stack"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tracegram" / "stack"


def manifest_of(program: str) -> str:
    """The manifest that brings `program`. Raises `LookupError` for a program that is not of the stack."""
    for manifest, programs in MANIFESTS.items():
        if program in programs:
            return manifest
    known = ", ".join(name for programs in MANIFESTS.values() for name in programs)
    raise LookupError(f"the stack has no program {program!r}; it has {known}")


def home(manifest: str) -> Path:
    """The folder of a manifest's binaries, whether they are there or not."""
    digest = hashlib.sha256()
    for file in sorted((BUILD / manifest).iterdir()):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return cache() / f"{manifest}-{digest.hexdigest()[:12]}"


def built(manifest: str) -> bool:
    """Whether every binary of a manifest is there."""
    return all((home(manifest) / program).is_file() for program in MANIFESTS[manifest])


def missing() -> list[str]:
    """The manifests of whose binaries one is not there."""
    return [manifest for manifest in MANIFESTS if not built(manifest)]
