"""The quick form of the benchmark, to the end: what it writes is whole, and nothing of the payload is lost. No timings."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.__main__ import main


def test_the_quick_form_measures_every_variant_and_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "build" / "bench.json"
    assert main(["--quick", "--out", str(out)]) == 0
    numbers = json.loads(out.read_text())
    assert numbers["problems"] == []
    assert list(numbers) == [
        "schema",
        "machine",
        "plan",
        "variants",
        "ours_to_naive",
        "targets",
        "scrape",
        "problems",
    ]
    assert list(numbers["variants"]) == ["bare", "ours", "naive"]
    for name, variant in numbers["variants"].items():
        assert set(variant) == {
            "cpu_us",
            "cpu_ratio",
            "instructions",
            "instructions_ratio",
            "lag_ms",
            "payload",
        }
        assert set(variant["cpu_us"]) == {"min", "median", "max"}
        assert set(variant["lag_ms"]) == {"p50", "p99", "max"}
        assert (variant["payload"] is None) == (name == "bare")
    assert numbers["scrape"]["series"] >= 3000
    assert set(numbers["scrape"]) == {"series", "held_ms", "held_idle_ms", "loop_cpu_ms"}
    ours, naive = numbers["variants"]["ours"]["payload"], numbers["variants"]["naive"]["payload"]
    assert naive["spans"] == 4
    assert naive["log_records"] == naive["log_lines"] == 5
    assert naive["metric_recordings"] == 3
    assert all(ours[key] >= naive[key] for key in naive if key != "otlp_bytes")
