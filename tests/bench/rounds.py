"""Runs the workers side by side, one at work at a time, and gathers what they measured.

CPU and lag come from plain processes; instructions from Callgrind, which is switched on after the warm-up: to count
the imports of aiogram alone would take two minutes.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bench import sink
from tests.bench.payload import Delivery, Payload, payload
from tests.bench.variants import NAMES, Name

#: The slow clock of Callgrind would cut many small exports: there they go by number alone.
_BY_NUMBER_MS = 3_600_000
_SIGNALS = ("traces", "logs", "metrics")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure. `counted` are the two sizes whose difference gives instructions; None leaves them out."""

    warm_up: int = 300
    rounds: int = 9
    updates: int = 500
    rate: float = 200.0
    seconds: float = 4.0
    lag_rounds: int = 3
    counted: tuple[int, int] | None = (64, 192)
    counts: int = 3


@dataclass(slots=True)
class Measured:
    """The raw numbers of one variant, in the order of the rounds."""

    cpu_us: list[float] = field(default_factory=list)
    lag_ms: list[dict[str, float]] = field(default_factory=list)
    instructions: list[float] = field(default_factory=list)
    payload: Payload | None = None


class Worker:
    """One variant in its process. Use as a context manager; leaving it checks the return code."""

    def __init__(
        self, name: Name, sink_url: str, folder: Path, plan: Plan, callgrind: Path | None = None
    ) -> None:
        self.name = name
        self._sink = f"{sink_url}/{name}" + ("/counted" if callgrind else "")
        self._lines = folder / f"{name}.{'counted' if callgrind else 'timed'}.log"
        self._callgrind = callgrind
        self._fed = plan.warm_up
        self._recent = 0
        interval = _BY_NUMBER_MS if callgrind else 0
        program = [sys.executable, "-m", "tests.bench.worker"]
        arguments = [name, self._sink, str(self._lines), str(interval), str(plan.warm_up)]
        self._process = subprocess.Popen(
            [*_valgrind(callgrind), *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )

    def __enter__(self) -> Worker:
        assert self._answer() == {"ready": self.name}
        for signal in _SIGNALS:
            sink.received(f"{self._sink}/v1/{signal}", forget=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        code = self._process.wait(120)
        if self._process.stdout is not None:
            self._process.stdout.close()
        if code and error is None:
            raise RuntimeError(f"the worker {self.name} ended with {code}")

    def run(self, updates: int) -> float:
        """Microseconds of CPU per update."""
        order = {"do": "run", "updates": updates, "garbage": self._callgrind is None}
        return self._order(updates, order)["cpu_s"] / updates * 1e6

    def lag(self, rate: float, seconds: float) -> dict[str, float]:
        """Lateness of the event loop's timers in milliseconds."""
        return self._order(int(rate * seconds), {"do": "lag", "rate": rate, "seconds": seconds})

    def payload(self) -> Payload:
        """What came of all updates since the warm-up. Raises `Missing`."""
        traces, logs, metrics = (sink.received(f"{self._sink}/v1/{signal}") for signal in _SIGNALS)
        return payload(Delivery(traces, logs, metrics, self._lines), self._recent, self._fed)

    def control(self, *arguments: str) -> None:
        """Tell Callgrind something."""
        command = ["callgrind_control", *arguments, str(self._process.pid)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _order(self, updates: int, order: dict[str, Any]) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._fed += updates
        self._recent += updates
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker {self.name} died: its return code is {self._process.wait(60)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(plan: Plan, folder: Path) -> dict[Name, Measured]:
    """Everything of the plan, for all variants. `folder` takes the log lines and Callgrind's files."""
    found: dict[Name, Measured] = {name: Measured() for name in NAMES}
    with sink.running() as url:
        with _workers(url, folder, plan) as workers:
            _time(plan, workers, found)
            for worker in workers:
                if worker.name != "bare":
                    found[worker.name].payload = worker.payload()
        if plan.counted is not None:
            for name in NAMES:
                found[name].instructions = _count(name, url, folder, plan, plan.counted)
    return found


@contextmanager
def _workers(url: str, folder: Path, plan: Plan) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        # All start at once; whichever fails, all are ended.
        workers = [stack.push(Worker(name, url, folder, plan)) for name in NAMES]
        yield [worker.__enter__() for worker in workers]


def _time(plan: Plan, workers: list[Worker], found: dict[Name, Measured]) -> None:
    for number in range(plan.rounds):
        # Each comes first, second and last in turn: the machine's mood may drift within a round.
        for worker in workers[number % 3 :] + workers[: number % 3]:
            found[worker.name].cpu_us.append(worker.run(plan.updates))
    for _ in range(plan.lag_rounds):
        for worker in workers:
            found[worker.name].lag_ms.append(worker.lag(plan.rate, plan.seconds))


def _count(name: Name, url: str, folder: Path, plan: Plan, sizes: tuple[int, int]) -> list[float]:
    out = folder / f"callgrind.{name}"
    with Worker(name, url, folder, plan, out) as worker:
        worker.control("-i", "on")
        totals = []
        for number, size in enumerate([max(sizes), *sizes * plan.counts], start=1):
            worker.run(size)
            worker.control("-d")
            totals.append(_total(out.with_name(f"{out.name}.{number}")))
        worker.control("-i", "off")
        if name != "bare":
            worker.payload()
    _settling, *counted = totals
    few, many = sizes
    pairs = zip(counted[::2], counted[1::2], strict=True)
    return [(large - small) / (many - few) for small, large in pairs]


def _total(path: Path) -> int:
    found = re.search(r"^totals: (\d+)$", path.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"Callgrind wrote no total into {path.name}")
    return int(found[1])


def _valgrind(out: Path | None) -> list[str]:
    if out is None:
        return []
    return ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]


def median_ratio(ones: list[float], others: list[float]) -> float:
    """The median of the ratios within each round, which the machine's drift cannot touch."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))
