"""Cases of rules as promtool reads them, and promtool itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from app.alerts.groups import alerts, groups
from app.alerts.rules import Alert, Group, render
from app.config.alerting import DEFAULTS
from deploy.native.build import program

ALERTS: dict[tuple[str, str], Alert] = {(alert.name, alert.severity): alert for alert in alerts(DEFAULTS)}


def promtool(*arguments: str | Path) -> str:
    """Run it to its end; fails the test with what it says."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fired(alert: Alert, labels: Mapping[str, str], summary: str) -> dict[str, Any]:
    """An alert that is to fire, with all that it has to say."""
    return {
        "exp_labels": {**labels, **alert.all_labels()},
        "exp_annotations": {**alert.annotations(""), "summary": summary},
    }


def run(folder: Path, rules: Iterable[Group], every: str, tests: list[dict[str, Any]]) -> None:
    """Let promtool judge the tests, with rules that are evaluated `every` so often."""
    groups = tuple(rules)
    (folder / "rules.yaml").write_text(render(groups, ""), encoding="utf-8")
    suite = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": every,
        # Without it any order, a new one each time: an alert may see what was recorded now, or one evaluation ago.
        "group_eval_order": [group.name for group in groups],
        "tests": tests,
    }
    (folder / "tests.yaml").write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    promtool("test", "rules", folder / "tests.yaml")


def recorded(
    expected: Mapping[str, float],
    rules: Iterable[Group],
    series: Mapping[str, str],
    labels: Mapping[str, str],
    folder: Path,
    at: str = "2h",
) -> None:
    """Let promtool judge recorded series, each the only one of its name, to six digits. Series have a sample a minute."""
    tests = [
        {
            "expr": f"round({name}, 0.000001)",
            "eval_time": at,
            "exp_samples": [
                {"labels": _matchers({} if name == "bot:available" else labels), "value": round(value, 6)}
            ],
        }
        for name, value in expected.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    run(folder, rules, "30s", [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}])


def _matchers(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def every_group() -> tuple[Group, ...]:
    """All rules with the default thresholds."""
    return groups(DEFAULTS)
