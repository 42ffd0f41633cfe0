"""Each program's own check takes the configuration that it is started with."""

import os
import subprocess
from pathlib import Path

from deploy.native.build import program
from deploy.native.ports import Ports
from deploy.native.programs import collector, loki, tempo


def _checked(binary: str, *arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [program(binary), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_collector_takes_its_configuration_with_and_without_an_environment(tmp_path: Path) -> None:
    described = collector(Ports(), tmp_path)

    assert _checked("otelcol", "validate", *described.arguments) == (0, "")
    assert _checked("otelcol", "validate", *described.arguments, **described.environment) == (0, "")


def test_tempo_takes_its_configuration(tmp_path: Path) -> None:
    described = tempo(Ports(), tmp_path)
    code, said = _checked("tempo", *described.arguments, "-config.verify=true", **described.environment)

    assert code == 0, said


def test_loki_takes_its_configuration(tmp_path: Path) -> None:
    described = loki(Ports(), tmp_path)
    code, said = _checked("loki", *described.arguments, "-verify-config", **described.environment)

    assert code == 0, said
