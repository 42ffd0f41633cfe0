"""The documents and locks: links lead somewhere, make targets exist, every locked package has a hash and no host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.repository import INSTRUMENTATION, ROOT, files, name

_FENCE = re.compile(r"```.*?```", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")

MANUALS = sorted(
    path for path in [*ROOT.glob("*.md"), *files(ROOT / "docs", INSTRUMENTATION)] if path.suffix == ".md"
)
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def _anchors(text: str) -> set[str]:
    """The anchors of headings as the usual forges make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", _FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _is_broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in _anchors(target.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", MANUALS, ids=name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    relative = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in relative if _is_broken(page, link)] == []


def test_the_documents_are_found() -> None:
    assert {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/config.md"} <= set(map(name, MANUALS))


def test_a_broken_link_is_seen() -> None:
    page = ROOT / "README.md"
    assert [_is_broken(page, link) for link in ("nowhere.md", "Makefile", "docs/config.md#telegram")] == [
        True,
        False,
        False,
    ]
    assert _is_broken(page, "docs/config.md#no-such-heading")


def _targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^([a-z-]+):", makefile))


@pytest.mark.parametrize("page", MANUALS, ids=name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # In prose only code speaks of targets: "make sure" is no command.
    named = set(re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z-]+)", text))
    named |= set(
        re.findall(r"(?m)^\s*(?:\$ )?(?:[A-Z_]+=\S+ )?make ([a-z-]+)(?=\s|$)", "".join(_FENCE.findall(text)))
    )
    assert named - _targets() == set()


def test_every_target_is_phony_and_starts_with_the_set_up() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"(?m)^\.PHONY: (.+)$", makefile)[1].split())  # type: ignore[index]  # or it fails here
    assert phony == _targets()
    prerequisites = dict(re.findall(r"(?m)^([a-z-]+):([^#\n]*)", makefile))
    bare = {
        target for target, needed in prerequisites.items() if not {"setup", "check"} & set(needed.split())
    }
    assert bare == {"help", "setup", "browser", "pgbouncer", "clean"}


def test_the_locks_are_found() -> None:
    assert [path.stem for path in LOCKS] == ["bootstrap", "dev", "image", "oldest", "run"]


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_every_locked_package_has_a_version_and_hashes(lock: Path) -> None:
    statements = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    packages = [line for line in statements if line and not line.lstrip().startswith("#")]
    assert packages
    form = re.compile(r"[\w.\-\[\]]+==[\w.!+]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line[:60] for line in packages if not form.fullmatch(line.strip())] == []


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_no_lock_names_a_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r"\w+://\S+|--(?:extra-)?index-url.*|--find-links.*|--trusted-host.*", text) == []


def test_what_runs_is_locked_alike_for_tests() -> None:
    def pins(stem: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{stem}.lock").read_text(encoding="utf-8")
        return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", text))

    run, dev = pins("run"), pins("dev")
    assert {package: version for package, version in run.items() if dev.get(package) != version} == {}
