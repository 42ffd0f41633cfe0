"""Where ffmpeg is found, and how its description of a file is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.errors import ConfigError, NothingToDownload, NotMedia, TooLarge, TooLong
from app.jobs.engines.convert import Mp3, Source, check_size, read_probe
from app.jobs.engines.ffmpeg import find_ffmpeg

FILM = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'source':
  Metadata:
    major_brand     : isom
    title           : A song: part 2
    artist          : Someone
  Duration: 01:02:03.45, start: 0.000000, bitrate: 187 kb/s
  Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p, 640x360, 12 fps
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, stereo, fltp, 128 kb/s
At least one output file must be specified
"""


def _program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_configured_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path, "my-ffmpeg")
    assert find_ffmpeg(str(program)) == str(program)
    monkeypatch.chdir(tmp_path)
    assert find_ffmpeg("./my-ffmpeg") == str(program)


@pytest.mark.parametrize("configured", ["", None])
def test_else_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str | None
) -> None:
    program = _program(tmp_path, "ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg(configured) == str(program)


def test_else_the_one_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert os.access(find_ffmpeg(None), os.X_OK)


def test_without_any_the_message_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ConfigError, match="apt install ffmpeg"):
        find_ffmpeg(None)


def test_a_configured_path_that_is_no_program_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_text("not executable")
    with pytest.raises(ConfigError, match="configured"):
        find_ffmpeg(str(tmp_path / "ffmpeg"))


def test_a_film_is_read() -> None:
    assert read_probe(FILM) == Source(3723.45, "A song: part 2", "Someone")


def test_an_unknown_duration_is_none() -> None:
    assert read_probe(FILM.replace("01:02:03.45", "N/A")).duration_s is None


def test_a_film_without_sound_has_nothing_to_download() -> None:
    silent = "".join(line for line in FILM.splitlines(keepends=True) if "Audio" not in line)
    with pytest.raises(NothingToDownload):
        read_probe(silent)


@pytest.mark.parametrize("report", ["", "source: Invalid data found when processing input", "Stream Audio"])
def test_anything_else_is_not_media(report: str) -> None:
    with pytest.raises(NotMedia):
        read_probe(report)


def test_a_claimed_duration_is_held_against_the_limits() -> None:
    mp3 = Mp3(Path("x"), bitrate=192, max_bytes=2_400_000, max_duration_s=200, title="", performer=None)
    check_size(None, mp3)
    check_size(100.0, mp3)  # 192 kbit/s are 24,000 bytes a second
    with pytest.raises(TooLarge):
        check_size(101.0, mp3)
    with pytest.raises(TooLong):
        check_size(201.0, mp3)
