"""Writes what two programs do not take from the environment: Prometheus' targets, and Alertmanager's addresses and secrets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from deploy.native.alertmanager import here
from deploy.native.ports import HOST, Ports
from deploy.native.programs import ROOT

#: The admin of the local Telegram, who is told of alerts.
ADMIN = 1000


def prometheus(target: Path, ports: Ports) -> None:
    """A copy of Prometheus' configuration that has this machine's targets."""
    _copy("prometheus", target)
    targets = {
        "tracegram": ports.bot,
        "collector": ports.collector_metrics,
        "prometheus": ports.prometheus,
        "alertmanager": ports.alertmanager,
        "loki": ports.loki,
        "tempo": ports.tempo,
    }
    (target / "targets").mkdir()
    for job, port in targets.items():
        found = [{"targets": [f"{HOST}:{port}"]}]
        (target / "targets" / f"{job}.yaml").write_text(json.dumps(found) + "\n")


def alertmanager(target: Path, ports: Ports, token: str) -> None:
    """A copy of Alertmanager's configuration that tells the admin of the local Telegram, in the name of the bot."""
    _copy("alertmanager", target)
    secrets = target / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "bot_token").write_text(token)
    (secrets / "alert_chat_id").write_text(str(ADMIN))
    file = target / "alertmanager.yaml"
    bot_api, bot = f"http://{HOST}:{ports.telegram}", f"http://{HOST}:{ports.bot}"
    file.write_text(here(file.read_text(), secrets, bot_api=bot_api, bot=bot))


def _copy(name: str, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "deploy" / name, target)
