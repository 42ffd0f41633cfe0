"""The command line: `python -m deploy.grafana.source [--check] [--runbooks URL]` writes the dashboards, or says what differs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.grafana.source import downloads, overview, pipeline, system, updates
from deploy.grafana.source.render import render

FOLDER = Path(__file__).parents[1] / "dashboards"

BOARDS = (overview.BOARD, updates.BOARD, downloads.BOARD, system.BOARD, pipeline.BOARD)


def rendered(runbooks: str = "") -> dict[str, str]:
    """Every dashboard's text by the name of its file."""
    return {f"{board.slug}.json": render(board, runbooks) for board in BOARDS}


def differing(folder: Path) -> list[str]:
    """The files in `folder` that are not what is declared, or that nothing declares."""
    wanted = rendered()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted | there if wanted.get(name) != there.get(name))


def write(folder: Path, runbooks: str = "") -> None:
    """Write every dashboard into `folder`, and remove what nothing declares any more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = rendered(runbooks)
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the files, or with `--check` name those that differ. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana.source", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file differs")
    parser.add_argument("--runbooks", default="", help="address of the folder of runbooks, for links to them")
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        write(folder, chosen.runbooks.rstrip("/"))
        return 0
    different = differing(folder)
    for name in different:
        print(f"deploy/grafana/dashboards/{name} is not up to date: make dashboards", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
