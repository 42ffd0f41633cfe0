"""The real ffmpeg under our rules: it opens no file but the one it is given, and stops at the limits."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.errors import NothingToDownload, NotMedia, TooLarge, TooLong
from app.jobs.engines import convert
from app.jobs.engines.convert import Mp3
from app.jobs.engines.ffmpeg import find_ffmpeg

FFMPEG = find_ffmpeg(None)

# Each is a text that makes an ordinary ffmpeg open the file `other.mp3` beside it.
POINTERS = {
    "concat": "ffconcat version 1.0\nfile other.mp3\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mp3\n#EXT-X-ENDLIST\n",
    "dash": """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
        mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/mpeg"><Representation id="1"
        bandwidth="1"><BaseURL>other.mp3</BaseURL></Representation></AdaptationSet></Period></MPD>""",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
}


def run(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [FFMPEG, "-hide_banner", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=30)


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tone") / "other.mp3"
    run("-f", "lavfi", "-i", "sine=d=20", "-ac", "6", "-c:a", "ac3", "-f", "ac3", path)
    return path


def mp3(folder: Path, **changes: object) -> Mp3:
    values: dict[str, object] = {
        "path": folder / "audio.mp3",
        "bitrate": 64,
        "max_bytes": 1_000_000,
        "max_duration_s": 60.0,
        "title": "a = b; c # d \\ e",
        "performer": None,
    }
    return Mp3(**{**values, **changes})  # type: ignore[arg-type]  # a table of fields


def test_a_file_is_converted_and_tagged(tone: Path, tmp_path: Path) -> None:
    seconds: list[float] = []
    made = convert.to_mp3(FFMPEG, tone, mp3(tmp_path, performer="Кто-то"), seconds.append)

    assert made == pytest.approx(20, abs=0.5)
    assert seconds == sorted(seconds)
    report = run("-i", tmp_path / "audio.mp3", check=False).stderr
    assert "title           : a = b; c # d \\ e\n" in report
    assert "artist          : Кто-то\n" in report
    assert "stereo" in report
    assert [path.name for path in tmp_path.iterdir()] == ["audio.mp3"]


def test_a_longer_file_than_it_claimed_is_stopped(tone: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLong):
        convert.to_mp3(FFMPEG, tone, mp3(tmp_path, max_duration_s=5.0), lambda _: None)
    assert (tmp_path / "audio.mp3").stat().st_size < 64 * 125 * 8


def test_a_larger_file_than_allowed_is_stopped(tone: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        convert.to_mp3(FFMPEG, tone, mp3(tmp_path, max_bytes=50_000), lambda _: None)


def test_a_film_without_sound_has_nothing_to_download(tmp_path: Path) -> None:
    film = tmp_path / "source"
    run("-f", "lavfi", "-i", "color=d=1:s=64x64", "-c:v", "mpeg4", "-f", "mp4", film)
    with pytest.raises(NothingToDownload):
        convert.probe(FFMPEG, film)


@pytest.mark.parametrize("name", POINTERS)
@pytest.mark.parametrize("file_name", ["source", "source.mp3"])
def test_a_text_cannot_make_ffmpeg_open_another_file(
    name: str, file_name: str, tone: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.mp3").write_bytes(tone.read_bytes())
    source = tmp_path / file_name
    source.write_text(POINTERS[name])

    with pytest.raises(NotMedia):
        convert.probe(FFMPEG, source)
    with pytest.raises(NotMedia):
        convert.to_mp3(FFMPEG, source, mp3(tmp_path), lambda _: None)


def test_an_ordinary_ffmpeg_would_open_it(tone: Path, tmp_path: Path) -> None:
    (tmp_path / "other.mp3").write_bytes(tone.read_bytes())
    source = tmp_path / "source"
    source.write_text(POINTERS["concat"])
    assert "Audio: ac3" in run("-i", source, check=False).stderr
