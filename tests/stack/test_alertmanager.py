"""The real Alertmanager: the routes of every alert, and what really comes into a chat."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.native.build import program
from tests.kit.repository import ROOT
from tests.stack.promtool import ALERTS

CONFIGURATION = ROOT / "deploy" / "alertmanager" / "alertmanager.yaml"


def amtool(*arguments: str | Path) -> str:
    """Run it to its end; fails the test with what it says."""
    done = subprocess.run([program("amtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def receivers(**labels: str) -> str:
    """Who is told of an alert with these labels, as Alertmanager itself finds the route."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={CONFIGURATION}", *pairs).strip()


def test_the_configuration_and_its_templates_are_sound() -> None:
    assert "SUCCESS" in amtool("check-config", CONFIGURATION)


@pytest.mark.parametrize(("name", "severity"), ALERTS)
def test_an_alert_goes_to_whom_its_severity_says(name: str, severity: str) -> None:
    expected = {"critical": "telegram-loud", "warning": "telegram-quiet", "info": "watchdog"}
    assert receivers(alertname=name, **ALERTS[name, severity].all_labels()) == expected[severity]


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("critical", "telegram-loud"), ("warning", "telegram-quiet"), ("info", "telegram-quiet")],
)
def test_an_alert_of_a_later_day_is_told_by_its_severity(severity: str, receiver: str) -> None:
    assert receivers(alertname="Unheard", severity=severity) == receiver


def test_a_failed_payment_is_loud_whatever_its_severity() -> None:
    assert receivers(alertname="PaymentFailure", severity="warning") == "telegram-loud"


def test_no_route_names_the_bot_before_it_has_a_door() -> None:
    routes = amtool("config", "routes", "show", f"--config.file={CONFIGURATION}")
    named = {line.rsplit("receiver: ", 1)[1] for line in routes.splitlines() if "receiver: " in line}
    assert named == {"telegram-loud", "telegram-quiet", "watchdog"}
