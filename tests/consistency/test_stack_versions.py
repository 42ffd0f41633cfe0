"""`deploy/versions.yaml` and what is built from `deploy/build` are the same versions."""

import re
from pathlib import Path

import yaml

from deploy.native.manifests import BUILD, MANIFESTS

_VERSIONS: dict[str, dict[str, str]] = yaml.safe_load(Path("deploy/versions.yaml").read_text())


def test_each_program_is_built_in_the_version_that_is_declared() -> None:
    for manifest in set(MANIFESTS) - {"collector"}:
        module, version = _VERSIONS[manifest]["native"].split("@")

        assert f"\t{module} {version} // indirect\n" in (BUILD / manifest / "go.mod").read_text()


def test_the_collectors_parts_and_its_builder_are_of_one_version() -> None:
    version = _VERSIONS["collector"]["native"].split("@")[1]
    built = (BUILD / "collector" / "builder.yaml").read_text() + (BUILD / "collector" / "go.mod").read_text()
    parts = re.findall(
        r"(\S+(?:receiver|processor|exporter|connector|extension|filestorage|builder)) (v[\d.]+)", built
    )

    assert len(parts) == 13
    assert {found for _, found in parts} == {version}
    assert f"version: {version.removeprefix('v')}\n" in built


def test_an_image_of_another_version_has_its_reason() -> None:
    differing = set()
    for name, entry in _VERSIONS.items():
        image = entry["image"].rpartition(":")[2].removeprefix("v")
        # Prometheus 3.15 is v0.315 for Go.
        native = entry.get("native", f"@v{image}").rpartition("@v")[2].replace("0.315.0", "3.15.0")
        if image != native:
            differing.add(name)

    assert differing == {name for name, entry in _VERSIONS.items() if "differs" in entry}
