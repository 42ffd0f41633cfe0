"""One variant in a process of its own, told by lines of JSON on stdin what to do; answers each with a line.

`{"do": "run", "updates": 500}` measures CPU, exports included; `{"do": "lag", "rate": 200, "seconds": 3}` the event loop.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from tests.bench import reference_bot
from tests.bench.variants import NAMES, Name, Variant, Wiring, start

_PROBE_S = 0.002
_numbers: Iterator[int] = iter(range(1, 10**9))


def _fresh(count: int) -> list[bytes]:
    return [raw for _ in range(count) for raw in reference_bot.updates(next(_numbers), 1)]


async def run(variant: Variant, updates: int, garbage: bool = True) -> dict[str, float]:
    """CPU of this process for `updates` updates one after the other, until the last byte is exported.

    Without `garbage` the collector stands still: whether a full collection falls into a short run is chance.
    """
    raws = _fresh(updates)
    if not garbage:
        gc.collect()
        gc.freeze()
        gc.disable()
    cpu, wall = time.process_time(), time.perf_counter()
    for raw in raws:
        await variant.feed(raw)
    variant.flush()
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


async def lag(variant: Variant, rate: float, seconds: float) -> dict[str, float]:
    """How late a timer of 2 ms comes, in milliseconds, while updates come at a fixed rate (open loop)."""
    late: list[float] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def watch() -> None:
        while (due := loop.time() + _PROBE_S) < end:
            await asyncio.sleep(_PROBE_S)
            late.append((loop.time() - due) * 1000)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        begun = loop.time()
        for index, raw in enumerate(_fresh(int(rate * seconds))):
            await asyncio.sleep(begun + index / rate - loop.time())
            group.create_task(variant.feed(raw))
    variant.flush()
    late.sort()
    return {"p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "max": late[-1]}


async def serve(variant: Variant) -> None:
    """Do what stdin says until it ends."""
    for line in sys.stdin:  # blocks the loop, which has nothing else to do between two measurements
        order: dict[str, Any] = json.loads(line)
        match order.pop("do"):
            case "run":
                answer = await run(variant, **order)
            case "lag":
                answer = await lag(variant, **order)
            case unknown:
                raise ValueError(unknown)
        print(json.dumps(answer), flush=True)


async def main(name: Name, sink: str, lines: Path, interval_ms: int | None, warm_up: int) -> None:
    """Start the variant, warm it up, and serve."""
    with lines.open("w", buffering=1 << 16) as stream:
        variant = start(name, Wiring(sink, stream, interval_ms))
        await run(variant, warm_up)
        gc.collect()
        gc.freeze()
        print(json.dumps({"ready": name}), flush=True)
        await serve(variant)
        variant.close()


if __name__ == "__main__":
    _name, _sink, _lines, _interval, _warm_up = sys.argv[1:]
    assert _name in NAMES, get_args(Name)
    asyncio.run(main(_name, _sink, Path(_lines), int(_interval) or None, int(_warm_up)))
