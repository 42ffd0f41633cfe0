"""How the command line ends when parts of a process end: with a sentence that a person can act upon, if there is one."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.errors import ConfigError

TOLD = "BOT_TOKEN: Telegram does not know this token."


class _Telemetry:
    def shutdown(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_TOKEN", "7000000001:AAtoken-token_token-token-token-tok")
    monkeypatch.setattr("app.main.start_telemetry", lambda _: _Telemetry())
    yield
    gc.unfreeze()


@pytest.mark.parametrize(
    ("errors", "code", "said", "logged"),
    [
        ([ConfigError(TOLD)], 2, f"tracegram: {TOLD}\n", []),
        ([RuntimeError("a secret"), ConfigError(TOLD)], 2, f"tracegram: {TOLD}\n", [RuntimeError]),
        ([RuntimeError(), ExceptionGroup("", [OSError(), ConfigError(TOLD)])], 2, f"tracegram: {TOLD}\n", [RuntimeError]),
        ([ExceptionGroup("", [OSError("a secret")]), RuntimeError()], 1, "", [OSError]),
    ],
)  # fmt: skip
def test_what_a_person_can_mend_is_said_whatever_else_broke(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    errors: list[Exception],
    code: int,
    said: str,
    logged: list[type[Exception]],
) -> None:
    """A wrong token that came second ended the process without its sentence."""

    async def run(*_: object, with_parent: bool) -> None:
        raise ExceptionGroup("parts", errors)

    monkeypatch.setattr("app.main.run", run)
    with caplog.at_level(logging.CRITICAL):
        assert main(["run"]) == code
    assert capsys.readouterr().err == said
    told = [record.exc_info for record in caplog.records]
    assert [info[0] for info in told if info] == logged
