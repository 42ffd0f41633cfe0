"""Every alert has a runbook that is short, concrete, and names only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.alerts.groups import alerts, groups
from app.config.alerting import DEFAULTS, Alerting
from app.config.settings import Settings
from app.telemetry.catalogue import CATALOGUE
from app.telemetry.contract import CONTRACT
from tests.kit.promql import strangers
from tests.kit.repository import ROOT
from tests.kit.runbooks import PAGES, blocks, languages

RECORDED = {recording.name for group in groups(DEFAULTS) for recording in group.recordings}
EVENTS = {event.value for event in CONTRACT}
#: What programs around the bot read from the environment, and words in capitals that are none of ours.
OTHER_NAMES = {
    "DATABASE_URL",
    "SAMPLING_PERCENT",
    "COLLECTOR_MEMORY_MIB",
    "COLLECTOR_QUEUE_BYTES",
    "COLLECTOR_STORAGE",
}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert set(PAGES) == {alert.name for alert in alerts(DEFAULTS)}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_form_of_all_pages(name: str) -> None:
    lines = PAGES[name].read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"# {name}"
    assert [line for line in lines if line.startswith("## ")] == ["## Look first", "## What to do"]
    assert 20 <= len(lines) <= 60
    assert languages(PAGES[name]) <= {"promql", "logql", "traceql", "sql", "sh"}
    assert blocks(PAGES[name], "promql")


@pytest.mark.parametrize("name", PAGES)
def test_its_queries_name_what_there_is(name: str) -> None:
    page = PAGES[name]
    assert [s for query in blocks(page, "promql") for s in strangers(query, CATALOGUE, RECORDED)] == []
    named = {event for query in blocks(page, "logql") for event in re.findall(r'event_name="(\w+)"', query)}
    assert named <= EVENTS


@pytest.mark.parametrize("name", PAGES)
def test_the_settings_and_metrics_in_its_text_exist(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    settings = {field.upper() for kind in (Settings, Alerting) for field in kind.model_fields}
    named = set(re.findall(r"\b((?:[A-Z]+_)+[A-Z]+)\b", text))
    reasons = {"INTERNAL_ERROR", "DB_ERROR", "DOWNSTREAM_ERROR", "DOWNSTREAM_TIMEOUT"}
    assert named <= settings | OTHER_NAMES | EVENTS | reasons
    metrics = {end for metric in CATALOGUE for end in (metric.prometheus, *_ends(metric.prometheus))}
    assert set(re.findall(r"`(bot_\w+)`", text)) <= metrics


def _ends(name: str) -> list[str]:
    return [name + end for end in ("_bucket", "_sum", "_count")]


def test_what_other_programs_read_is_in_their_configuration() -> None:
    collector = ROOT / "otel" / "collector.yaml"
    names = {name for name in OTHER_NAMES if name.startswith(("COLLECTOR_", "SAMPLING_"))}
    assert _variables(collector) >= names


def _variables(path: Path) -> set[str]:
    return set(re.findall(r"\$\{env:(\w+)", path.read_text(encoding="utf-8")))
