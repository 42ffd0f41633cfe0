"""Grafana where this machine has it, with the dashboards and data sources of the repository, open to whoever is on this machine.

It is not among the programs that are built: its pages do not come as a Go module.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.native.ports import HOST
from deploy.native.programs import ROOT
from deploy.native.run import Stack


@dataclass(frozen=True, slots=True)
class Installed:
    """The program, and the folder of its pages and defaults (Grafana's `homepath`)."""

    binary: Path
    home: Path


def installed() -> Installed | None:
    """The `grafana` on the search path; none when there is none, or its folder is nowhere that packages put it."""
    found = shutil.which("grafana")
    if found is None:
        return None
    prefix = Path(found).resolve().parents[1]
    # The archive unpacks to one folder; packages have the program in `bin` or `sbin`, and the folder in `share`.
    for home in (prefix, prefix / "share" / "grafana"):
        if (home / "conf" / "defaults.ini").is_file():
            return Installed(Path(found), home)
    return None


def command(grafana: Installed) -> list[str]:
    """How it is started; the rest is in its environment."""
    return [str(grafana.binary), "server", f"--homepath={grafana.home}"]


def environment(stack: Stack, folder: Path) -> Mapping[str, str]:
    """Its settings, and what its provisioning asks for. It writes to `folder` alone, and calls nobody outside."""
    files = ROOT / "deploy" / "grafana"
    return {
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(stack.ports.grafana),
        "GF_SERVER_ROOT_URL": stack.grafana,
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(files / "provisioning"),
        # Only this machine reaches it. An editor may explore; a viewer may not.
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Editor",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GRAFANA_DASHBOARDS": str(files / "dashboards"),
        "PROMETHEUS_URL": stack.prometheus,
        "TEMPO_URL": stack.tempo,
        "LOKI_URL": stack.loki,
        "ALERTMANAGER_URL": stack.alertmanager,
    }
