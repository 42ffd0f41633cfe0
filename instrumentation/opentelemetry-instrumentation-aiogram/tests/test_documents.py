"""The names of the conventions are spelled right, and the README lists every name that is emitted."""

import re
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import http_attributes as incubating_http_attributes
from opentelemetry.semconv._incubating.attributes import messaging_attributes, rpc_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics, rpc_metrics
from opentelemetry.semconv.attributes import (
    code_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
)

from opentelemetry.instrumentation.aiogram import __doc__ as manual
from opentelemetry.instrumentation.aiogram import semconv

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NAMES = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
EMITTED = {name: value for name, value in NAMES.items() if "." in value and not name.startswith("SC")}
OFFICIAL = [
    messaging_attributes,
    rpc_attributes,
    code_attributes,
    error_attributes,
    server_attributes,
    http_attributes,
    incubating_http_attributes,
    messaging_metrics,
    rpc_metrics,
]


@pytest.mark.parametrize(
    "conventions",
    OFFICIAL,
    ids=lambda module: module.__name__.removeprefix("opentelemetry.semconv."),
)
def test_names_are_those_of_the_conventions(conventions: object) -> None:
    shared = NAMES.keys() & vars(conventions).keys()

    assert shared
    assert {name: NAMES[name] for name in shared} == {name: vars(conventions)[name] for name in shared}


def test_every_name_is_a_convention_or_ours() -> None:
    known = {value for module in OFFICIAL for value in vars(module).values() if isinstance(value, str)}

    assert [name for name in EMITTED.values() if name not in known and not name.startswith("telegram.")] == []


@pytest.mark.parametrize("name", sorted(EMITTED.values()))
def test_the_readme_documents(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize(
    "value", sorted(value for name, value in NAMES.items() if name.startswith(("OUTCOME_", "REASON_")))
)
def test_the_readme_lists_every_outcome_and_reason(value: str) -> None:
    assert f"| `{value}` |" in README


def test_the_readme_documents_nothing_else() -> None:
    """Every name in a first column is emitted."""
    listed = re.findall(r"^\| ((?:`[a-z_.]+\.[a-z_.]+`(?:, )?)+) \|", README, re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`([^`]+)`", cell)}

    assert names == set(EMITTED.values())


@pytest.mark.parametrize(
    "argument",
    [
        "tracer_provider",
        "meter_provider",
        "update_hook",
        "unhandled_hook",
        "request_hook",
        "response_hook",
        "explain_unhandled",
        "raise_telemetry_errors",
    ],
)
def test_manual_and_readme_document(argument: str) -> None:
    assert f"``{argument}``" in (manual or "")
    assert f"`{argument}`" in README
