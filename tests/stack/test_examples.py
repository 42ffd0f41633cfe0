"""The examples for many instances and for federation: taken by Prometheus, and doing what they say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from deploy.native.build import program
from tests.kit.bot import free_port
from tests.kit.repository import ROOT

_EXAMPLES = ROOT / "deploy" / "examples" / "prometheus"

#: A place: it scrapes itself as if it were two bots, and records and alerts like the real rules.
_PLACE = """
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: tracegram
    static_configs: [{targets: ["127.0.0.1:%(port)d"]}]
"""
_RULES = """
groups:
  - name: place
    rules:
      - {record: "job:prometheus_ready:max", expr: "max by (job) (prometheus_ready)"}
      - {alert: Watchdog, expr: vector(1), labels: {severity: info}}
"""


@pytest.mark.parametrize("name", ["federation.yaml", "kubernetes.yaml", "many-instances.yaml"])
def test_prometheus_takes_the_example(name: str, tmp_path: Path) -> None:
    # Secrets that the example names are looked for.
    token = tmp_path / "token"
    token.write_text("secret")
    text = (_EXAMPLES / name).read_text().replace("/etc/prometheus/federation_token", str(token))
    (tmp_path / name).write_text(text)
    (tmp_path / "targets").symlink_to(_EXAMPLES / "targets")
    done = subprocess.run(
        [program("promtool"), "check", "config", "--lint=all", "--lint-fatal", tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def _prometheus(folder: Path, config: str, port: int) -> AsyncIterator[str]:
    folder.mkdir()
    (folder / "rules.yaml").write_text(_RULES)
    (folder / "prometheus.yaml").write_text(config)
    address = f"127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await process.wait()


async def _series(session: aiohttp.ClientSession, url: str) -> list[dict[str, str]]:
    """Every series of the last minutes that came from a place."""
    async with session.get(f"{url}/api/v1/series", params={"match[]": '{place!=""}'}) as response:
        found: list[dict[str, str]] = (await response.json())["data"]
        return found


async def test_federation_brings_what_is_recorded_and_nothing_else(tmp_path: Path) -> None:
    """The example's own parameters, with one place on this machine."""
    example: dict[str, Any] = yaml.safe_load((_EXAMPLES / "federation.yaml").read_text())
    port = free_port()
    (job,) = example["scrape_configs"]
    del job["authorization"]
    job |= {
        "scheme": "http",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"place": "here"}}],
    }
    example["global"]["scrape_interval"] = "200ms"
    expected = {
        ("job:prometheus_ready:max", "tracegram"),
        ("up", "tracegram"),
        ("ALERTS", "places"),
        # What Prometheus tells of the scrape itself.
        ("up", "places"),
        ("scrape_duration_seconds", "places"),
        ("scrape_samples_scraped", "places"),
        ("scrape_samples_post_metric_relabeling", "places"),
        ("scrape_series_added", "places"),
    }
    async with (
        _prometheus(tmp_path / "place", _PLACE % {"port": port}, port),
        _prometheus(tmp_path / "above", json.dumps(example), free_port()) as above,
        aiohttp.ClientSession() as session,
        asyncio.timeout(60),
    ):
        found: set[tuple[str, str | None]] = set()
        while not expected <= found:
            await asyncio.sleep(0.3)
            try:
                found = {(s["__name__"], s.get("job")) for s in await _series(session, above)}
            except aiohttp.ClientConnectionError:
                continue  # it does not listen yet
        assert found == expected
