"""Processes of the stack: what one that does not come up says, and that only one's own are ended."""

import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from deploy.native.ports import HOST, free
from deploy.native.processes import NotStarted, Process, identity, start
from deploy.native.up import AlreadyUp, down, up

_NOWHERE = f"http://{HOST}:9/"


def _sleeping(folder: Path) -> Process:
    """A program with a child, neither of which ends by itself."""
    command = ["sh", "-c", "sleep 600 & echo $! > child; wait"]
    return start("sleeper", command, folder / "log", {"PATH": os.environ["PATH"]}, folder)


async def test_one_that_dies_at_its_start_is_told_with_its_last_lines(tmp_path: Path) -> None:
    process = start(
        "broken", ["sh", "-c", "seq 1 40; exit 3"], tmp_path / "log", {"PATH": os.environ["PATH"]}
    )

    with pytest.raises(NotStarted) as told:
        await process.ready(_NOWHERE)

    lines = "\n".join(f"  {number}" for number in range(26, 41))
    assert str(told.value) == f"broken ended with 3:\n{lines}\nThe whole log is {tmp_path / 'log'}."


async def test_one_that_answers_is_ready_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    port = free().tempo
    server = [sys.executable, "-m", "http.server", str(port), "--bind", HOST]
    process = start("server", server, tmp_path / "log", {}, tmp_path)

    await process.ready(f"http://{HOST}:{port}/")
    assert process.identity.alive()

    process.stop()
    assert (process.identity.alive(), process.popen.returncode) == (False, -signal.SIGTERM)


def test_its_children_end_with_it(tmp_path: Path) -> None:
    process = _sleeping(tmp_path)
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        time.sleep(0.01)
    child = identity(int((tmp_path / "child").read_text()))
    assert child is not None
    assert child.alive()

    process.stop()

    # The signal went to both; on a busy machine the child is the later one.
    deadline = time.monotonic() + 10
    while child.alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_number_that_was_given_anew_is_not_ended(tmp_path: Path) -> None:
    process = _sleeping(tmp_path)
    try:
        another = replace(process.identity, started=process.identity.started - 1)
        assert not another.alive()
        another.end()
        assert process.identity.alive()
    finally:
        process.kill()


async def test_what_an_interrupted_start_has_left_is_ended_by_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = _sleeping(tmp_path)
    gone = start("gone", ["true"], tmp_path / "gone.log", {"PATH": os.environ["PATH"]})
    gone.popen.wait()
    known = {"gone": gone.identity, "sleeper": process.identity}
    (tmp_path / "processes.json").write_text(json.dumps({name: asdict(one) for name, one in known.items()}))

    with pytest.raises(AlreadyUp):
        await up(tmp_path, free())

    assert (down(tmp_path), down(tmp_path)) == (1, 0)
    process.popen.wait()
    assert capsys.readouterr().err == "stack: ending sleeper\n"


async def test_one_start_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two, the one that fails would forget what the other has started."""
    monkeypatch.setattr("deploy.native.up.build", lambda names: None)
    with (tmp_path / "starting.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AlreadyUp) as told:
            await up(tmp_path, free())
    assert str(told.value) == f"the stack in {tmp_path} is being started already"
