"""The files of this repository, for the tests that hold its parts against each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTRUMENTATION = ROOT / "instrumentation" / "opentelemetry-instrumentation-aiogram"
PRODUCT = (ROOT / "app", INSTRUMENTATION / "src")

#: Made by programs, not by people: `.venv` and every cache.
_SKIPPED = {"__pycache__", "node_modules", "build", "dist"}


@cache
def files(*folders: Path) -> tuple[Path, ...]:
    """Every file below the folders, without what programs leave behind."""
    return tuple(path for folder in folders for path in _below(folder))


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _SKIPPED or (path.name.startswith(".") and path.name not in (".github", ".ci")):
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path


@cache
def modules(*folders: Path) -> dict[Path, ast.Module]:
    """Every Python module below the folders, parsed."""
    return {path: ast.parse(path.read_bytes(), str(path)) for path in files(*folders) if path.suffix == ".py"}


def name(path: Path) -> str:
    """A file as its place in the repository."""
    return path.relative_to(ROOT).as_posix()
