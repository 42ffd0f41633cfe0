"""What the rules select is what the configurations of Prometheus scrape, those in deploy/examples among them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.alerts.groups import groups
from app.alerts.promql import JOB
from app.alerts.rules import render
from app.config.alerting import DEFAULTS
from tests.kit.repository import ROOT, name

_EXAMPLES = ROOT / "deploy" / "examples"
_KUBERNETES = _EXAMPLES / "prometheus" / "kubernetes.yaml"


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]
    return {job["job_name"]: job for job in jobs}


@pytest.mark.parametrize("path", [ROOT / "deploy" / "prometheus" / "prometheus.yaml", _KUBERNETES], ids=name)
def test_every_job_that_a_rule_selects_is_scraped(path: Path) -> None:
    """The example for Kubernetes had the bots alone: nobody was told of a Collector or an Alertmanager that was down."""
    selected = set(re.findall(r'job="(\w+)"', render(groups(DEFAULTS), "")))
    assert len(selected) == 6
    assert _jobs(path).keys() == selected


def test_the_series_that_workers_are_scaled_by_have_the_label_that_they_are_asked_for_by() -> None:
    """The adapter asks for namespace="tracegram": without the label there was nothing to scale by."""
    text = (_EXAMPLES / "kubernetes" / "worker-autoscaling.yaml").read_text(encoding="utf-8")
    comment = [line.removeprefix("#") for line in text.splitlines() if re.match(r"#   +", line)]
    (rule,) = yaml.safe_load("\n".join(comment))["externalRules"]
    (metric,) = [metric["external"]["metric"]["name"] for metric in yaml.safe_load(text)["spec"]["metrics"]]
    labels = {
        "job",
        *(step.get("target_label") for step in _jobs(_KUBERNETES)["tracegram"]["relabel_configs"]),
    }
    assert rule["name"]["as"] == metric
    assert rule["seriesQuery"] == f'{metric}{{job="{JOB}"}}'
    assert rule["resources"]["overrides"].keys() == {"namespace"} <= labels


def test_no_label_of_an_example_tells_bots_apart() -> None:
    """Two bots have two ACTIVE instances: TwoLeaders would fire for ever."""
    groups: list[dict[str, Any]] = yaml.safe_load(
        (_EXAMPLES / "prometheus" / "targets" / "bots.yaml").read_text(encoding="utf-8")
    )
    assert {name for group in groups for name in group["labels"]} == {"site"}
