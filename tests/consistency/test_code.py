"""The shape of the code: sizes, docstrings, the error tree as it is drawn, what a child process does not load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from app import errors
from tests.kit.repository import INSTRUMENTATION, PRODUCT, ROOT, files, modules, name

MODULE_LINES = 300
CATALOGUE_LINES = 500
FUNCTION_LINES = 60

#: Put together here, so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")


def test_modules_are_short() -> None:
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*PRODUCT)}
    limits = {"app/telemetry/catalogue.py": CATALOGUE_LINES}
    assert {n: length for n, length in lengths.items() if length > limits.get(n, MODULE_LINES)} == {}


def test_functions_are_short() -> None:
    long = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path, module in modules(*PRODUCT).items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_every_module_says_what_it_owns() -> None:
    product = modules(*PRODUCT)
    assert {name(path).split("/")[0] for path in product} == {"app", "instrumentation"}
    silent = [name(path) for path, module in product.items() if not ast.get_docstring(module)]
    assert silent == []


def test_nothing_is_left_unfinished() -> None:
    folders = (*PRODUCT, ROOT / "tests", INSTRUMENTATION / "tests", ROOT / "scripts")
    texts = [p for p in files(*folders) if p.suffix in (".py", ".js", ".css", ".html", ".mako", "")]
    found = [
        f"{name(path)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert found == []


def _drawn() -> set[str]:
    # A name stands at the root or after a branch; the rest of a line explains it.
    return set(re.findall(r"(?:^ {4}|── )([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE))


def _defined() -> set[str]:
    return {n for n, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_the_error_tree_is_drawn_whole() -> None:
    assert _drawn() == _defined()


def test_the_errors_worth_another_try_are_the_ones_drawn_so() -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if "`retry`" in line)
    retried = {n for n in _defined() if getattr(getattr(errors, n), "retry", False)}
    assert set(re.findall(r"── (\w+)", line)) == retried


@pytest.mark.parametrize("error", sorted(_defined()))
def test_an_error_says_its_docstring(error: str) -> None:
    kind = getattr(errors, error)
    assert str(kind()) == (kind.__doc__ or "").splitlines()[0]
    assert str(kind("another message")) == "another message"


def test_children_and_the_command_line_load_neither_aiogram_nor_sqlalchemy() -> None:
    """aiogram takes three seconds to import, and a child process that meets strangers' bytes needs neither."""
    program = """
import importlib, sys
for module in ("app.cli", "app.jobs.engines.download_child", "app.sandbox.server"):
    importlib.import_module(module)
    print(module, *sorted({"aiogram", "sqlalchemy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == ["app.cli", "app.jobs.engines.download_child", "app.sandbox.server"]


def test_every_package_is_on_the_map_and_nothing_else() -> None:
    map_ = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    assert {p for p in packages if f"`app/{p}`" not in map_} == set()
    places = set(re.findall(r"`((?:app|tests|scripts|docs|deploy|instrumentation)/[\w./-]*\w)`", map_))
    assert {place for place in places if not (ROOT / place).exists()} == set()
