"""Grafana is found where its archive and its packages put it, and not where a part of it is missing."""

from pathlib import Path

import pytest

from deploy.native.grafana import Installed, installed


def _put(binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)


def _put_defaults(home: Path) -> None:
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()


@pytest.mark.parametrize(
    ("binary", "home"),
    [("grafana-13/bin/grafana", "grafana-13"), ("usr/sbin/grafana", "usr/share/grafana")],
)
def test_it_is_found_where_the_archive_and_the_packages_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: str, home: str
) -> None:
    _put(tmp_path / binary)
    _put_defaults(tmp_path / home)
    monkeypatch.setenv("PATH", str((tmp_path / binary).parent))

    assert installed() == Installed(tmp_path / binary, tmp_path / home)


def test_a_link_to_the_program_leads_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(tmp_path / "opt" / "grafana" / "bin" / "grafana")
    _put_defaults(tmp_path / "opt" / "grafana")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "grafana").symlink_to(tmp_path / "opt" / "grafana" / "bin" / "grafana")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert installed() == Installed(tmp_path / "bin" / "grafana", tmp_path / "opt" / "grafana")


def test_without_the_program_or_its_folder_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert installed() is None

    _put(tmp_path / "bin" / "grafana")
    assert installed() is None
