"""The input file for Telegraf asks at doors that are there, by options that Telegraf documents."""

from __future__ import annotations

import tomllib
from urllib.parse import urlsplit

from app.config.settings import Settings
from tests.kit.repository import ROOT

_CONF = ROOT / "deploy" / "telegraf" / "telegraf.conf"

#: Options of the two plugins, from their pages; those that are comments in the file count, too.
_DOCUMENTED = {
    "prometheus": {"urls", "metric_version", "username", "password"},
    "http_response": {"urls"},
}


def test_it_asks_at_the_doors_of_the_bot() -> None:
    inputs = tomllib.loads(_CONF.read_text())
    assert set(inputs) == {"inputs"}
    places = {
        plugin: [urlsplit(url) for url in table["urls"]] for plugin, (table,) in inputs["inputs"].items()
    }
    port = Settings.model_fields["web_port"].default
    assert {plugin: [(u.port, u.path) for u in urls] for plugin, urls in places.items()} == {
        "prometheus": [(port, "/metrics")],
        "http_response": [(port, "/health")],
    }


def test_its_options_are_documented_ones_also_where_they_are_switched_off() -> None:
    lines = [
        line.replace("  # username", "  username").replace("  # password", "  password")
        for line in _CONF.read_text().splitlines()
    ]
    inputs = tomllib.loads("\n".join(lines))["inputs"]
    assert {plugin: set(table) for plugin, (table,) in inputs.items()} == _DOCUMENTED
    user = Settings.model_fields["metrics_user"].default
    assert inputs["prometheus"][0]["username"] == user
    assert inputs["prometheus"][0]["password"] == "${METRICS_PASSWORD}"
    assert "metrics_password" in Settings.model_fields
