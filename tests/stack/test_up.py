"""`make stack` and `make stack-down`, as a person calls them, on ports that are free.

No registry has Grafana, so a stand-in on the search path shows how an installed one is started.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import aiohttp
import pytest

from deploy.native.programs import ROOT
from tests.kit.person import Person
from tests.stack.backends import eventually, get

ADMIN, ALICE = 1000, 1001
GRAFANA = """#!{python}
import http.server, json, os, sys

class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/api/health"
        self.send_response(200 if known else 404)
        self.end_headers()

told = {{name: value for name, value in os.environ.items() if name.endswith("_URL") or name.startswith(("GF_", "GRAFANA_"))}}
json.dump([sys.argv[1:], told], open("started.json", "w"))
http.server.HTTPServer(("127.0.0.1", int(os.environ["GF_SERVER_HTTP_PORT"])), Door).serve_forever()
"""


@pytest.fixture
def grafana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Grafana's archive unpacks to, with its program on the search path."""
    home = tmp_path / "grafana"
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "defaults.ini").touch()
    (home / "bin").mkdir()
    program = home / "bin" / "grafana"
    program.write_text(GRAFANA.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return home


async def _native(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.native", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(180)
async def test_everything_is_up_after_one_command_and_gone_after_another(
    tmp_path: Path, grafana: Path
) -> None:
    folder = str(tmp_path / "stack")
    code, table, said = await _native("up", "--free-ports", "--folder", folder)
    try:
        assert code == 0, said
        addresses = dict(re.findall(r"^  (\S.*?)  +(http://\S+)", table, re.MULTILINE))
        assert [*addresses] == [
            "chat page",
            "bot",
            "Collector",
            "Prometheus",
            "Alertmanager",
            "Tempo",
            "Loki",
            "Grafana",
        ]
        async with aiohttp.ClientSession(addresses["chat page"]) as sandbox:
            assert "Tracegram" in await Person(sandbox, ALICE).answer_to("/start")
            assert await _linked(Person(sandbox, ADMIN)) == {f"{addresses['Grafana']}explore"}
        _assert_started(grafana, tmp_path / "stack" / "grafana", addresses)
        query = {"query": '{service_name="tracegram"} | event_name="DISPATCH_OK"', "since": "1h"}
        labels = addresses["Loki"]
        loki = labels.removesuffix("/loki/api/v1/labels")

        async def told() -> bool:
            return bool((await get(f"{loki}/loki/api/v1/query_range", **query))["data"]["result"])

        await eventually(told)
        code, _, said = await _native("up", "--folder", folder)
        assert (code, said) == (1, f"stack: the stack in {folder} is up already; `make stack-down` ends it\n")
    finally:
        code, ended, _ = await _native("down", "--folder", folder)

    assert (code, ended) == (0, "8 processes ended\n")
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(addresses["Prometheus"])
    assert await _native("down", "--folder", folder) == (0, "0 processes ended\n", "")


async def _linked(admin: Person) -> set[str]:
    """The pages that the story of the newest update leads to, without their queries."""
    await admin.answer_to("/start")
    newest = re.findall(r"[0-9a-f]{32}", await admin.answer_to("/debug"))[0]
    sent = await admin.say(f"/debug {newest}")
    story = await admin.until(lambda message: message["message_id"] > sent["message_id"])
    return {entity["url"].partition("?")[0] for entity in story["entities"] if entity["type"] == "text_link"}


def _assert_started(home: Path, folder: Path, addresses: dict[str, str]) -> None:
    arguments, environment = json.loads((folder / "started.json").read_text())
    url = addresses["Grafana"].removesuffix("/")
    assert arguments == ["server", f"--homepath={home}"]
    assert environment == {
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": url.rpartition(":")[2],
        "GF_SERVER_ROOT_URL": url,
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(ROOT / "deploy/grafana/provisioning"),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Editor",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GRAFANA_DASHBOARDS": str(ROOT / "deploy/grafana/dashboards"),
        "PROMETHEUS_URL": addresses["Prometheus"].removesuffix("/api/v1/alerts"),
        "TEMPO_URL": addresses["Tempo"].removesuffix("/api/search"),
        "LOKI_URL": addresses["Loki"].removesuffix("/loki/api/v1/labels"),
        "ALERTMANAGER_URL": addresses["Alertmanager"].removesuffix("/"),
    }
