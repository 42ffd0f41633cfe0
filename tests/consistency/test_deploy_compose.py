"""`docker-compose.otel.yml` keeps its promises: pinned, limited, without rights, closed, and set up by names that exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from app.config.settings import Settings
from deploy.native.ports import Ports
from deploy.native.programs import PROGRAMS
from tests.kit.repository import ROOT

_VERSIONS: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "deploy" / "versions.yaml").read_text())
_FILE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.otel.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = _FILE["services"]
_APP = "tracegram:${TRACEGRAM_VERSION:-local}"
_TARGETS = ROOT / "deploy" / "compose" / "targets"

#: Where each program declares the variables that it reads, and how it writes them.
_CONFIGS = {
    "collector": ("otel/collector.yaml", r"\$\{env:(\w+)"),
    "tempo": ("deploy/tempo/tempo.yaml", r"\$\{(\w+)"),
    "loki": ("deploy/loki/loki.yaml", r"\$\{(\w+)"),
    "proxy": ("deploy/compose/Caddyfile", r"\{\$(\w+)"),
    "sandbox-proxy": ("deploy/compose/Caddyfile", r"\{\$(\w+)"),
}

_SWITCH = re.compile(r"--web\.enable|--enable-feature|--feature-gates|-config\.expand-env|--cluster")

#: What is there a second time, with the sandbox for Telegram.
_STAND_INS = ("bot-1", "bot-2", "worker", "proxy", "alertmanager")

services = pytest.mark.parametrize("name", SERVICES)


@services
def test_an_image_is_the_declared_one_or_our_own(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image == _APP or image in {entry["image"] for entry in _VERSIONS.values()}


def test_what_is_declared_is_used() -> None:
    used = {service["image"] for service in SERVICES.values()}
    unused = {name for name, entry in _VERSIONS.items() if entry["image"] not in used}
    assert unused == {"python", "compose", "telegraf"}
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"\nARG PYTHON={_VERSIONS['python']['image']}\n" in dockerfile


@services
def test_a_service_has_limits_and_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert {key: service[key] for key in ("read_only", "cap_drop", "security_opt", "pids_limit")} == {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 512,
    }
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert not {"privileged", "devices", "pid", "ipc"} & set(service)


def test_rights_are_given_back_for_a_reason_only() -> None:
    given = {name: service["cap_add"] for name, service in SERVICES.items() if "cap_add" in service}
    assert given == {
        "proxy": ["NET_BIND_SERVICE"],
        "sandbox-proxy": ["NET_BIND_SERVICE"],
        "volumes": ["CHOWN"],
    }


def test_only_the_proxy_is_open_to_the_world() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.pop("proxy") == ["80:80", "443:443", "443:443/udp"]
    assert {port.partition(":")[0] for listed in ports.values() for port in listed} == {"127.0.0.1"}
    assert _FILE["networks"]["inside"] == {"internal": True}
    # What has no business outside cannot get there.
    outside = {name for name, service in SERVICES.items() if "outside" in service.get("networks", ())}
    assert set(SERVICES) - outside == {"postgres", "sandbox-proxy", "volumes", "tempo", "loki"}


@services
def test_nothing_is_mounted_into_what_is_read_only(name: str) -> None:
    """An engine would have to make the folder for it, and cannot."""
    mounts = [mount.split(":") for mount in SERVICES[name].get("volumes", ())]
    places = [(parts[min(1, len(parts) - 1)], parts[-1] == "ro") for parts in mounts]
    inside = [
        place for place, _ in places for other, closed in places if closed and place.startswith(f"{other}/")
    ]
    assert inside == []


def test_whoever_is_waited_for_can_be_asked() -> None:
    assert "\nHEALTHCHECK " in (ROOT / "deploy" / "Dockerfile").read_text()
    checked = {
        name for name, service in SERVICES.items() if "healthcheck" in service or service["image"] == _APP
    }
    waited = {
        other
        for service in SERVICES.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert waited == {"postgres", "sandbox", "prometheus", "tempo", "loki"}
    # The one that ends at once, and the one whose image holds nothing to ask with.
    assert set(SERVICES) - checked == {"volumes", "collector"}
    assert waited <= checked


def test_secrets_come_from_files_that_the_script_makes() -> None:
    script = (ROOT / "deploy" / "make-secrets").read_text()
    made = set(re.findall(r"^write(?:_own)? (\w+) ", script, re.MULTILINE))
    assert _FILE["secrets"] == {name: {"file": f"./deploy/secrets/{name}"} for name in made}
    assert made == {name for service in SERVICES.values() for name in service.get("secrets", ())}
    values = [value for service in SERVICES.values() for value in service.get("environment", {}).values()]
    assert [value for value in values if re.search(r"://[^/]*:[^/]*@", value)] == []


@pytest.mark.parametrize("name", [name for name in SERVICES if SERVICES[name]["image"] == _APP])
def test_what_the_bot_is_told_are_settings(name: str) -> None:
    # The last is OpenTelemetry's own.
    known = {*Settings.model_fields, "otel_resource_attributes"}
    assert {key for key in SERVICES[name].get("environment", {}) if key.lower() not in known} == set()
    assert set(SERVICES[name]["secrets"]) <= known


@pytest.mark.parametrize("name", _CONFIGS)
def test_what_a_program_is_told_is_in_its_configuration(name: str) -> None:
    path, pattern = _CONFIGS[name]
    assert set(SERVICES[name]["environment"]) <= set(re.findall(pattern, (ROOT / path).read_text()))


def test_the_sandbox_stands_in_for_telegram_under_the_same_names() -> None:
    """Both profiles are the same services; only the settings that point to the sandbox differ."""
    for name in _STAND_INS:
        assert SERVICES[f"sandbox-{name}"]["profiles"] == ["sandbox"]
        assert SERVICES[f"sandbox-{name}"]["networks"]["inside"] == {"aliases": [name]}
    for name in ("bot-1", "bot-2", "worker"):
        real, played = SERVICES[name], SERVICES[f"sandbox-{name}"]
        assert real["profiles"] == ["telegram"]
        changed = {
            key for key, value in played["environment"].items() if real["environment"].get(key) != value
        }
        assert changed == {"ADMIN_IDS", "ALLOW_HOSTS", "BOT_API_URL", "WEBHOOK_URL"}
        assert set(real["environment"]) == set(played["environment"]) - {"ALLOW_HOSTS", "BOT_API_URL"}
        differing = {key for key in real if real[key] != played.get(key)}
        assert differing == {"profiles", "environment", "networks", "depends_on"}


def test_programs_are_started_as_they_are_natively() -> None:
    """Paths and addresses differ; what switches something on does not."""
    for name, described in PROGRAMS.items():
        native = {a for a in described(Ports(), ROOT).arguments if _SWITCH.match(a)}
        contained = {a for a in SERVICES[name]["command"] if _SWITCH.match(a)}
        # Only natively: for tests that load a changed configuration.
        assert native - {"--web.enable-lifecycle"} == contained


def test_each_program_is_scraped_where_it_is() -> None:
    found = {path.stem: yaml.safe_load(path.read_text())[0]["targets"] for path in sorted(_TARGETS.iterdir())}
    assert found == {
        "alertmanager": ["alertmanager:9093"],
        "collector": ["collector:8888"],
        "loki": ["loki:3100"],
        "prometheus": ["localhost:9090"],
        "tempo": ["tempo:3200"],
        "tracegram": ["bot-1:9464", "bot-2:9464", "worker:9464"],
    }
    assert SERVICES["bot-1"]["environment"]["METRICS_PORT"] == "9464"


def test_each_process_has_a_name_that_stays_over_restarts() -> None:
    for name in ("bot-1", "bot-2", "worker"):
        for service in (SERVICES[name], SERVICES[f"sandbox-{name}"]):
            told = service["environment"]["OTEL_RESOURCE_ATTRIBUTES"]
            assert told == f"service.instance.id={name}"


def test_the_manual_lists_every_variable_with_its_default() -> None:
    text = (ROOT / "docker-compose.otel.yml").read_text()
    variables = dict(re.findall(r"\$\{(\w+):-(?!http://\w+\.invalid)([^}]*)\}", text))
    assert set(variables) == set(re.findall(r"\$\{(\w+)", text))
    manual = (ROOT / "docs" / "deploy.md").read_text()
    table = manual[manual.index("| variable | default |") : manual.index("Any other setting of")]
    listed: dict[str, str] = {}
    for names, default in re.findall(r"^\| (`.+?`) \| (.+?) \|", table, re.MULTILINE):
        defaults = [each.strip("`") for each in default.split(", ")]
        listed |= dict(zip(re.findall(r"`(\w+)`", names), defaults, strict=True))
    assert listed == {name: default or "none" for name, default in variables.items()}
