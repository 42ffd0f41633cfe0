"""The manifests are what their schemas ask for, fit together, and set the bot up by settings that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.config.settings import Settings, load
from tests.kit.repository import ROOT, name

_FOLDER = ROOT / "deploy" / "kubernetes"
_EXAMPLES = ROOT / "deploy" / "examples" / "kubernetes"
_FILES = sorted(
    path for path in [*_FOLDER.iterdir(), *_EXAMPLES.iterdir()] if path.name != "kustomization.yaml"
)
_PROBES = {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}

Object = dict[str, Any]


def _objects(path: Path) -> list[Object]:
    return list(yaml.safe_load_all(path.read_text()))


_ALL = {(o["kind"], o["metadata"]["name"]): o for path in _FILES for o in _objects(path)}
_DEPLOYMENTS = [o for (kind, _), o in _ALL.items() if kind == "Deployment"]
deployments = pytest.mark.parametrize("deployment", _DEPLOYMENTS, ids=lambda o: o["metadata"]["name"])


@pytest.mark.parametrize("path", _FILES, ids=name)
def test_a_manifest_is_what_its_schema_asks_for(path: Path) -> None:
    version = kubernetes_validate.latest_version()
    for manifest in _objects(path):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_field_would_be_seen() -> None:
    broken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_kustomize_takes_every_manifest_but_the_pattern() -> None:
    kustomization = yaml.safe_load((_FOLDER / "kustomization.yaml").read_text())
    files = {path.name for path in _FOLDER.iterdir()} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(kustomization["resources"]) == files
    assert [image["name"] for image in kustomization["images"]] == ["tracegram"]


def _pod(deployment: Object) -> Object:
    pod: Object = deployment["spec"]["template"]["spec"]
    return pod


@deployments
def test_a_pod_has_no_rights_and_no_names_of_services(deployment: Object) -> None:
    pod = _pod(deployment)
    (container,) = pod["containers"]
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    # The user of the image, and the one folder that it may write to.
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in dockerfile
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/var/lib/tracegram"]
    assert f"\nVOLUME {writable[0]}\n" in dockerfile


@deployments
def test_a_pod_is_asked_at_ports_and_paths_that_are_there(deployment: Object) -> None:
    (container,) = _pod(deployment)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = _ALL["ConfigMap", "tracegram"]["data"]
    for probe, path in _PROBES.items():
        asked = container[probe]["httpGet"]
        assert (asked["path"], ports[asked["port"]]) == (path, Settings.model_fields["web_port"].default)
    assert ports["metrics"] == int(settings["METRICS_PORT"])
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == settings["METRICS_PORT"]


def test_the_pieces_refer_to_each_other() -> None:
    for deployment in _DEPLOYMENTS:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        budget = _ALL["PodDisruptionBudget", deployment["metadata"]["name"]]
        assert budget["spec"]["selector"]["matchLabels"] == labels
        (container,) = _pod(deployment)["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "tracegram"}}]
        assert _pod(deployment)["volumes"][0]["secret"]["secretName"] == "tracegram"
    service = _ALL["Service", "bot"]
    bot = _ALL["Deployment", "bot"]["spec"]["template"]
    assert service["spec"]["selector"] == bot["metadata"]["labels"]
    (path,) = _ALL["Ingress", "bot"]["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/telegram/webhook", "Exact")
    assert path["backend"]["service"] == {"name": "bot", "port": {"name": "webhook"}}
    scaled = _ALL["HorizontalPodAutoscaler", "worker"]["spec"]["scaleTargetRef"]
    assert ("Deployment", scaled["name"]) in _ALL


@pytest.mark.parametrize("kind", ["bot", "worker"])
def test_the_settings_are_usable(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pod gets, read as the process in it reads it."""
    for each in [*Settings.model_fields, "secrets_dir"]:
        monkeypatch.delenv(each.upper(), raising=False)
    (container,) = _pod(_ALL["Deployment", kind])["containers"]
    given = _ALL["ConfigMap", "tracegram"]["data"] | {
        e["name"]: e["value"] for e in container["env"] if "value" in e
    }
    mounted = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    assert mounted == [given.pop("SECRETS_DIR")]
    assert given.pop("OTEL_RESOURCE_ATTRIBUTES") == "service.instance.id=$(POD_NAME)"
    assert {key for key in given if key.lower() not in Settings.model_fields} == set()
    secrets = _ALL["Secret", "tracegram"]["stringData"]
    assert set(secrets) <= set(Settings.model_fields)
    for key, value in secrets.items():
        (tmp_path / key).write_text(value)
    for key, value in {**given, "SECRETS_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)

    settings = load(_env_file=None)
    assert settings.webhook_url == "https://bot.example.org"
    assert settings.worker_concurrency == {"bot": 0, "worker": 2}[kind]
    assert secrets["bot_token"] in settings.secrets()
