"""The names of the conventions are spelled right, and the README lists every name that is emitted."""

from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes, rpc_attributes
from opentelemetry.semconv.attributes import code_attributes, error_attributes, server_attributes

from opentelemetry.instrumentation.aiogram import __doc__ as manual
from opentelemetry.instrumentation.aiogram import semconv

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NAMES = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
ATTRIBUTES = {name: value for name, value in NAMES.items() if "." in value and not name.startswith("SC")}


@pytest.mark.parametrize(
    "conventions",
    [messaging_attributes, rpc_attributes, code_attributes, error_attributes, server_attributes],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_names_are_those_of_the_conventions(conventions: object) -> None:
    shared = NAMES.keys() & vars(conventions).keys()

    assert shared
    assert {name: NAMES[name] for name in shared} == {name: vars(conventions)[name] for name in shared}


def test_every_name_is_a_convention_or_ours() -> None:
    official = messaging_attributes, rpc_attributes, code_attributes, error_attributes, server_attributes
    known = {value for module in official for value in vars(module).values() if isinstance(value, str)}

    assert [
        name for name in ATTRIBUTES.values() if name not in known and not name.startswith("telegram.")
    ] == []


@pytest.mark.parametrize("attribute", sorted(ATTRIBUTES.values()))
def test_the_readme_documents(attribute: str) -> None:
    assert f"`{attribute}`" in README


@pytest.mark.parametrize("argument", ["tracer_provider", "raise_telemetry_errors"])
def test_the_manual_documents(argument: str) -> None:
    assert argument in (manual or "")
