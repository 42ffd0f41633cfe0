"""Builds with the real Go: what fails leaves nothing, what is built is kept, and two builders build once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.native import manifests
from deploy.native.build import BuildFailed, program

_GO_MOD = "module tracegram.example/hello\n\ngo 1.26.5\n\ntool tracegram.example/hello\n"
_MAIN = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest with a program of its own, and an empty cache. Another program stays unbuilt, so Go's caches stay."""
    folder = tmp_path / "build" / "hello"
    folder.mkdir(parents=True)
    (tmp_path / "build" / "never").mkdir()
    (folder / "go.mod").write_text(_GO_MOD)
    (folder / "main.go").write_text(_MAIN)
    monkeypatch.setenv("TRACEGRAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(manifests, "BUILD", tmp_path / "build")
    monkeypatch.setattr(manifests, "MANIFESTS", {"hello": ("hello",), "never": ("never",)})
    return folder


def _kept() -> list[str]:
    return sorted(
        entry.name for entry in manifests.cache().iterdir() if entry.name not in ("build.lock", "go-caches")
    )


def test_what_is_built_is_kept_until_its_manifest_changes(
    hello: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = program("hello")
    assert subprocess.run([first], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert "building hello from source" in capsys.readouterr().err

    assert program("hello") == first
    assert capsys.readouterr().err == ""

    (hello / "main.go").write_text(_MAIN.replace('"hello"', '"changed"'))
    second = program("hello")
    assert subprocess.run([second], capture_output=True, text=True, check=True).stdout == "changed\n"
    assert _kept() == sorted([first.parent.name, second.parent.name])


def test_a_binary_that_was_removed_is_built_again(hello: Path) -> None:
    """The folder was taken for the binary, and the start of the stack ended in a traceback."""
    binary = program("hello")
    binary.unlink()

    assert subprocess.run([program("hello")], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert _kept() == [binary.parent.name]


def test_a_build_that_fails_leaves_nothing_and_says_why(hello: Path) -> None:
    (hello / "main.go").write_text(_MAIN.replace("Println", "Printline"))

    with pytest.raises(BuildFailed, match=r"undefined: fmt\.Printline\n(.|\n)*Mend what the last lines say"):
        program("hello")

    assert _kept() == []


def test_two_builders_at_once_build_once(hello: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(program, ["hello", "hello"]))

    assert [path.parent.name for path in found] == _kept()
    assert capsys.readouterr().err.count("building hello") == 1


def test_an_unknown_program_is_told_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.native", "build", "grafana"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "stack: the stack has no program 'grafana'; it has "
        "alertmanager, amtool, prometheus, promtool, otelcol, loki, tempo, caddy, cmd\n",
    )
