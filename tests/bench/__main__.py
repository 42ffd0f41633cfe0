"""`python -m tests.bench [--quick] [--no-count]`: prints the table and writes `build/bench.json`.

The file: `schema` (1); `machine` (versions, CPUs); `plan` (how much was measured); `variants`, by name, each with
`cpu_us` and `instructions` per update (`min`, `median`, `max`; null when not counted), `cpu_ratio` and
`instructions_ratio` to bare, `lag_ms` (`p50`, `p99` and `max` of the event loop, medians of the rounds) and `payload`
(per update, null for bare); `ours_to_naive` (`cpu`, `instructions`); `targets` (`instructions_to_bare`,
`instructions_to_naive`, `scrape_held_ms`, each with `limit`, `value` and `met`); `scrape` (see `tests/bench/scrape.py`);
`problems` (texts).

The exit code is 1 when a variant did not deliver what it told. A missed target is printed, not punished.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.payload import FLOOR, shortfalls
from tests.bench.rounds import Measured, Plan, measure, median_ratio
from tests.bench.variants import NAMES, Name

_OUT = Path("build/bench.json")
_TO_BARE, _TO_NAIVE = 2.2, 0.7
_HELD_MS = 20.0
_QUICK = Plan(
    warm_up=40, rounds=3, updates=100, rate=100.0, seconds=1.0, lag_rounds=1, counted=None, counts=0
)


def report(plan: Plan, found: dict[Name, Measured], scrape: dict[str, Any]) -> dict[str, Any]:
    """The numbers as `build/bench.json` has them."""
    bare, ours, naive = (found[name] for name in NAMES)
    instructions = _ratio(ours.instructions, naive.instructions)
    return {
        "schema": 1,
        "machine": {
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            **{name: version(name) for name in ("aiogram", "opentelemetry-sdk")},
        },
        "plan": asdict(plan),
        "variants": {name: _variant(found[name], bare) for name in NAMES},
        "ours_to_naive": {"cpu": _ratio(ours.cpu_us, naive.cpu_us), "instructions": instructions},
        "targets": {
            "instructions_to_bare": _target(_TO_BARE, _ratio(ours.instructions, bare.instructions)),
            "instructions_to_naive": _target(_TO_NAIVE, instructions),
            "scrape_held_ms": _target(_HELD_MS, scrape["held_ms"]),
        },
        "scrape": scrape,
        "problems": _problems(found),
    }


def _scrape() -> dict[str, Any]:
    program = [sys.executable, "-m", "tests.bench.scrape"]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, timeout=120)
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


def _variant(one: Measured, bare: Measured) -> dict[str, Any]:
    return {
        "cpu_us": _spread(one.cpu_us),
        "cpu_ratio": _ratio(one.cpu_us, bare.cpu_us),
        "instructions": _spread(one.instructions),
        "instructions_ratio": _ratio(one.instructions, bare.instructions),
        "lag_ms": {
            key: round(statistics.median(lag[key] for lag in one.lag_ms), 2) for key in ("p50", "p99", "max")
        },
        "payload": None if one.payload is None else asdict(one.payload),
    }


def _problems(found: dict[Name, Measured]) -> list[str]:
    ours, naive = found["ours"].payload, found["naive"].payload
    assert ours is not None
    assert naive is not None
    return [
        *shortfalls("ours", ours, FLOOR),
        *shortfalls("naive", naive, FLOOR),
        *shortfalls("ours (beside naive)", ours, naive),
    ]


def _spread(values: list[float]) -> dict[str, int] | None:
    if not values:
        return None
    return {
        "min": round(min(values)),
        "median": round(statistics.median(values)),
        "max": round(max(values)),
    }


def _ratio(ones: list[float], others: list[float]) -> float | None:
    return round(median_ratio(ones, others), 3) if ones and others else None


def _target(limit: float, value: float | None) -> dict[str, Any]:
    return {"limit": limit, "value": value, "met": None if value is None else value <= limit}


def table(numbers: dict[str, Any]) -> str:
    """The numbers for people."""
    lines = [
        "per update   CPU us (min..max)      ratio   instructions (min..max)         ratio   loop lag ms p50/p99/max"
    ]
    for name, one in numbers["variants"].items():
        cpu, lag = _cells(one["cpu_us"]), one["lag_ms"]
        lines.append(
            f"{name:<12} {cpu:<22} {_number(one['cpu_ratio']):<7} {_cells(one['instructions']):<31} "
            f"{_number(one['instructions_ratio']):<7} {lag['p50']:g} / {lag['p99']:g} / {lag['max']:g}"
        )
    both = numbers["ours_to_naive"]
    lines.append(f"ours/naive   {'':<22} {_number(both['cpu']):<7} {'':<31} {_number(both['instructions'])}")
    for name in ("ours", "naive"):
        told = ", ".join(
            f"{value:g} {key}" for key, value in numbers["variants"][name]["payload"].items()
        ).replace("_", " ")
        lines.append(f"{name} delivered per update: {told}")
    scrape = numbers["scrape"]
    lines.append(
        f"a scrape of {scrape['series']:,} series holds the event loop up for {scrape['held_ms']:g} ms "
        f"({scrape['held_idle_ms']:g} ms without a scrape)"
    )
    for name, target in numbers["targets"].items():
        verdict = {True: "met", False: "MISSED", None: "not counted"}[target["met"]]
        lines.append(f"target {name.replace('_', ' ')} <= {target['limit']}: {verdict}")
    return "\n".join([*lines, *(f"PROBLEM: {problem}" for problem in numbers["problems"])])


def _cells(spread: dict[str, int] | None) -> str:
    return f"{spread['median']:,} ({spread['min']:,}..{spread['max']:,})" if spread else "-"


def _number(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def main(arguments: list[str]) -> int:
    """Measure, print, write. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="What telemetry costs an update."
    )
    parser.add_argument("--quick", action="store_true", help="a look of some seconds, without instructions")
    parser.add_argument(
        "--no-count", action="store_true", help="leave the instructions out (needs no valgrind)"
    )
    parser.add_argument("--out", type=Path, default=_OUT, help="where the numbers go (build/bench.json)")
    options = parser.parse_args(arguments)
    plan = _QUICK if options.quick else Plan()
    plan = replace(plan, counted=None) if options.no_count else plan
    if plan.counted is not None and shutil.which("valgrind") is None:
        print("There is no valgrind: run scripts/setup-bench, or give --no-count.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        numbers = report(plan, measure(plan, Path(folder)), _scrape())
    print(table(numbers))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(numbers, indent=2) + "\n")
    return 1 if numbers["problems"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
