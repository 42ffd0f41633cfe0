"""The generated files are what the generator renders, and say the truth about the settings."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from app.config.alerting import Alerting, load_alerting
from app.config.demo import demo_port
from app.config.settings import Settings, load
from app.telemetry.catalogue import CATALOGUE
from tests.kit.repository import ROOT


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """scripts/generate_docs.py as a module."""
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules["generate_docs"] = module
    spec.loader.exec_module(module)
    return module


DOCUMENTS = (
    *("docs/metrics.md", "docs/events.md", "docs/config.md", ".env.example"),
    *("docs/alerts.md", "deploy/prometheus/rules/tracegram.yaml"),
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_generated_file_is_up_to_date(generator: ModuleType, document: str) -> None:
    rendered: str = generator.DOCUMENTS[document]()
    assert (ROOT / document).read_text(encoding="utf-8") == rendered, "run `make docs`"


def test_the_check_names_what_differs_and_writing_mends_it(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main([], tmp_path) == 0
    assert generator.main(["--check"], tmp_path) == 0
    (tmp_path / ".env.example").write_text("edited by hand")
    (tmp_path / "docs" / "config.md").unlink()
    assert capsys.readouterr() == ("", "")

    assert generator.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        "docs/config.md is not up to date: make docs",
        ".env.example is not up to date: make docs",
    ]
    assert generator.main([], tmp_path) == 0
    assert generator.differing(tmp_path) == []


def _examples() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def test_the_example_has_every_setting_and_nothing_else() -> None:
    names = [field.upper() for kind in (Settings, Alerting) for field in kind.model_fields]
    assert names[0] == "BOT_TOKEN"
    assert list(_examples()) == [*names, "DEMO_PORT"]


def test_every_line_of_the_example_is_a_comment() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy with every line in force is the same as no copy at all."""
    for name in [*Settings.model_fields, *Alerting.model_fields, "demo_port"]:
        monkeypatch.delenv(name.upper(), raising=False)
    examples = _examples()
    assert demo_port() == int(examples.pop("DEMO_PORT"))
    examples["BOT_TOKEN"] = "123456:AbC"
    path = tmp_path / "env"
    path.write_text("".join(f"{name}={value}\n" for name, value in examples.items()))
    assert load(_env_file=path) == load(_env_file=None, bot_token="123456:AbC")
    monkeypatch.chdir(tmp_path)
    path.rename(tmp_path / ".env")
    assert load_alerting().model_dump() == {
        name: field.default for name, field in Alerting.model_fields.items()
    }


def test_every_setting_is_in_a_section_of_the_manual(generator: ModuleType) -> None:
    sections = {setting.section for setting in generator.settings()}
    assert sections == {"Telegram", "Web", "Storage", "Updates", "Jobs", "Telemetry", "Alerts", "Demo"}
    assert {setting.name for setting in generator.settings() if setting.secret} == {
        "BOT_TOKEN",
        "WEBHOOK_SECRET",
        "METRICS_PASSWORD",
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "HASH_KEY",
    }


def test_the_manual_lists_every_metric_with_its_labels() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in CATALOGUE:
        assert f"| `{metric.prometheus}` | {metric.kind} |" in text
        for label in metric.labels:
            assert f"| `{metric.prometheus}` | `{label.key}` |" in text
