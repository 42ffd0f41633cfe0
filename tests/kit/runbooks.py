"""The runbooks: their pages, and the queries in them by language."""

from __future__ import annotations

import re
from pathlib import Path

from tests.kit.repository import ROOT

PAGES = {path.stem: path for path in sorted((ROOT / "docs" / "runbooks").glob("*.md"))}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """What stands in the fences of a language."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for fence, text in found if fence == language]


def languages(page: Path) -> set[str]:
    """The languages of all fences."""
    return {fence for fence, _ in _BLOCK.findall(page.read_text(encoding="utf-8"))}
