"""What the rules select is what the configurations of Prometheus scrape, those in deploy/examples among them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.kit.repository import ROOT

_EXAMPLES = ROOT / "deploy" / "examples"


def test_no_label_of_an_example_tells_bots_apart() -> None:
    """One bot of two is ACTIVE twice for the rules, which know instances and no bots: TwoLeaders would fire for ever."""
    groups: list[dict[str, Any]] = yaml.safe_load(
        (_EXAMPLES / "prometheus" / "targets" / "bots.yaml").read_text(encoding="utf-8")
    )
    assert {name for group in groups for name in group["labels"]} == {"site"}
