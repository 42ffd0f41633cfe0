"""The real Alertmanager: the routes of every alert, and what really comes into a chat."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from app.alerts.rules import Alert
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


#: As long as they come.
BOOKS = "https://git.example.org/operations/telegram/tracegram/src/branch/main/docs/runbooks"
INSTANCE = "tracegram-bot-12.europe-west.example.org:9464"
#: What Alertmanager cuts a message at, before Telegram sees it: also in the middle of a tag, which Telegram refuses for ever.
CUT = 4096


def message(folder: Path, declared: Alert, firing: int, over: int) -> str:
    """The message about so many alerts of one kind, as Alertmanager renders it."""
    filled = re.sub(r"\{\{.*?\}\}", INSTANCE, declared.summary)
    alerts = [
        {
            "status": "firing" if number < firing else "resolved",
            "labels": {"alertname": declared.name, "instance": INSTANCE, **declared.all_labels()},
            "annotations": {**declared.annotations(BOOKS), "summary": filled},
            "startsAt": "2026-11-26T10:00:00Z",
            "endsAt": "2026-11-26T10:10:00Z",
        }
        for number in range(firing + over)
    ]
    (folder / "data.json").write_text(json.dumps({"alerts": alerts}), encoding="utf-8")
    return amtool(
        "template",
        "render",
        f"--template.glob={CONFIGURATION.parent / 'templates' / '*.tmpl'}",
        '--template.text={{ template "tracegram.telegram" . }}',
        "--template.type=html",
        f"--template.data={folder / 'data.json'}",
    )


@pytest.mark.parametrize(("name", "severity"), ALERTS)
def test_a_message_is_never_cut_however_much_there_is_to_tell(
    name: str, severity: str, tmp_path: Path
) -> None:
    """Ten instances without their database and ten with it again were no message at all."""
    for firing, over in ((30, 30), (10, 10), (3, 30), (4, 30), (0, 30)):
        text = message(tmp_path, ALERTS[name, severity], firing, over)
        # Something is left for names that are longer still.
        assert len(text) < CUT - 250, (firing, over)
        assert text.count("resolved ·") == min(over, 3 if firing > 3 else 10)
        assert (f"and more: {firing} alerts in all" in text) == (firing > 10)
        assert (f"and more: {over} resolved in all" in text) == (over > text.count("resolved ·"))


def test_ten_alerts_are_named_and_five_of_them_told_in_full(tmp_path: Path) -> None:
    declared = ALERTS["DatabaseIssues", "critical"]
    text = message(tmp_path, declared, 10, 0)
    head = f"🔴 <b>DatabaseIssues</b> · critical\nThe database does not serve {INSTANCE} as it should\n"
    full = (
        f"<i>{declared.when}</i>\nsince 2026-11-26 10:00:00 UTC · "
        f'<a href="{BOOKS}/DatabaseIssues.md">runbook</a>\n\n'
    )
    assert text.strip() == ((head + full) * 5 + (head + "\n") * 5).strip()


def test_no_route_names_the_bot_before_it_has_a_door() -> None:
    routes = amtool("config", "routes", "show", f"--config.file={CONFIGURATION}")
    named = {line.rsplit("receiver: ", 1)[1] for line in routes.splitlines() if "receiver: " in line}
    assert named == {"telegram-loud", "telegram-quiet", "watchdog"}
