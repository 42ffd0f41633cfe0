"""`tracegram rules`: the thresholds of the environment in the rules, without a token, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from app.cli import main
from app.config.alerting import Alerting
from tests.kit.repository import ROOT


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*Alerting.model_fields, "bot_token"]:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_settings_it_is_the_file_of_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    committed = ROOT / "deploy" / "prometheus" / "rules" / "tracegram.yaml"
    assert capsys.readouterr().out == committed.read_text(encoding="utf-8")


def test_settings_change_thresholds_texts_and_links(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".env").write_text("ALERT_QUEUE_DEPTH_THRESHOLD=7\nBOT_TOKEN=not read here\n")
    monkeypatch.setenv("RUNBOOK_URL", "https://example.org/books/")
    assert main(["rules"]) == 0
    groups = yaml.safe_load(capsys.readouterr().out)["groups"]
    (rule,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "QueueBackup"]
    assert rule == {
        "alert": "QueueBackup",
        "expr": "bot:queue_depth:max > 7",
        "for": "5m",
        "labels": {"severity": "warning", "category": "jobs"},
        "annotations": {
            "summary": "{{ $value | humanize }} jobs wait",
            "description": "More than 7 jobs waited for five minutes.",
            "runbook_url": "https://example.org/books/QueueBackup.md",
        },
    }


def test_a_name_that_is_none_is_told_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".env").write_text("ALERT_QUEUE_DEPTH=7\nALERT_CHAT_ID=1\nRUNBOOK_URL=https://example.org\n")
    monkeypatch.setenv("ALERT_ZZZ", "1")
    assert main(["rules"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "tracegram: ALERT_QUEUE_DEPTH is no setting; is it ALERT_QUEUE_DEPTH_THRESHOLD?",
        "tracegram: ALERT_ZZZ is no setting",
    ]


def test_every_wrong_threshold_gets_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALERT_ERROR_RATE_THRESHOLD", "120")
    monkeypatch.setenv("ALERT_WEBHOOK_LATENCY_THRESHOLD", "2")
    monkeypatch.setenv("RUNBOOK_URL", "books")
    assert main(["rules"]) == 2
    fields = Alerting.model_fields
    assert capsys.readouterr().err.splitlines() == [
        "tracegram: The settings of the alerts are not usable:",
        "  ALERT_ERROR_RATE_THRESHOLD: Input should be less than 100."
        f" ({fields['alert_error_rate_threshold'].description})",
        "  ALERT_WEBHOOK_LATENCY_THRESHOLD: Input should be less than 2. (Seconds within which 95 of 100 webhook calls are "
        "to be answered (`SlowWebhook`); 2 is the most that is measured.)",
        f"  RUNBOOK_URL: must begin with http:// or https://. ({fields['runbook_url'].description})",
        "Set them in the environment or in .env; docs/config.md explains each.",
    ]
