"""`docs/stack.md` lists what the configurations of Collector, Tempo and Loki read and do, and nothing else."""

import re
from pathlib import Path

import yaml

_PAGE = Path("docs/stack.md").read_text()
_CONFIGS = ("otel/collector.yaml", "deploy/tempo/tempo.yaml", "deploy/loki/loki.yaml")


def test_every_variable_is_listed_with_its_default() -> None:
    text = "\n".join(Path(config).read_text() for config in _CONFIGS)
    read = set(re.findall(r"\$\{(?:env:)?([A-Z_]+):-([^}]*)\}", text))
    listed = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", _PAGE, re.MULTILINE)

    assert set(listed) == read
    assert len(listed) == len(read)


def test_every_variable_has_a_default() -> None:
    for config in _CONFIGS:
        assert re.findall(r"\$\{(?:env:)?[A-Za-z_]+\}", Path(config).read_text()) == []


def test_every_sampling_policy_is_listed_in_its_order() -> None:
    config = yaml.safe_load(Path("otel/collector.yaml").read_text())
    policies = [policy["name"] for policy in config["processors"]["tail_sampling"]["policies"]]
    section = _PAGE.partition("## What is kept")[2].partition("## ")[0]
    listed = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)

    assert listed == [*(f"`{policy}`" for policy in policies), "`debug`, `linked`, `late`"]


def test_a_sentence_stands_above_every_component() -> None:
    lines = Path("otel/collector.yaml").read_text().splitlines()
    config = yaml.safe_load("\n".join(lines))
    for kind in ("receivers", "processors", "connectors", "exporters", "extensions"):
        for name in config[kind]:
            place = next(number for number, line in enumerate(lines) if line.startswith(f"  {name}:"))
            assert re.match(r"  # .*\.$", lines[place - 1]), name
