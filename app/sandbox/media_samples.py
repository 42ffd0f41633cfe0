"""Makes the media site's own films and tunes with ffmpeg, from nothing but formulas, when they are first asked for.
They are the product's to give away: no recording of anyone is in them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

LENGTH_S = 60
TITLE = "Sixty seconds of Tracegram"
ARTIST = "The Tracegram sandbox"
PLAYLIST = "sample.m3u8"

_RATE = 44_100
_PHRASE_S = 8  # the formula is slow, so eight seconds are computed and then repeated


def _tune() -> str:
    """Four chords, C, Am, F and G, two seconds each: a plucked figure over a soft pad."""
    root = "if(lt(t,2),261.63,if(lt(t,4),220,if(lt(t,6),174.61,196)))"
    third = "if(between(t,2,4),3,4)"
    steps = "eq(ld(2),1)*ld(1)+eq(ld(2),2)*7+eq(ld(2),3)*12+eq(ld(2),4)*(12+ld(1))+eq(ld(2),5)*12+eq(ld(2),6)*7+eq(ld(2),7)*ld(1)"
    pluck = "exp(-5*ld(4))*(1-ld(4)/0.25)*(sin(ld(3)*ld(4))+0.3*sin(2*ld(3)*ld(4)))"
    pad = "sin(PI*ld(0)*t)+sin(PI*ld(0)*pow(2,ld(1)/12)*t)+sin(PI*ld(0)*1.4983*t)"
    formula = (
        f"st(0,{root});st(1,{third});st(2,mod(floor(t*4),8));st(4,mod(t,0.25));"
        f"st(3,2*PI*ld(0)*pow(2,({steps})/12));0.3*{pluck}+0.07*sin(PI*mod(t,2)/2)*({pad})"
    )
    return (
        f"aevalsrc=exprs='{formula}':s={_RATE}:d={_PHRASE_S},"
        f"aloop=loop=-1:size={_RATE * _PHRASE_S},atrim=duration={LENGTH_S},"
        f"aecho=0.8:0.7:180:0.25,atrim=duration={LENGTH_S},afade=t=out:st={LENGTH_S - 3}:d=3"
    )


def _picture() -> str:
    colours = "c0=0x1b2a49:c1=0x2a9d8f:c2=0xe9c46a:c3=0xe76f51:nb_colors=4"
    return f"gradients=s=640x360:r=12:speed=0.008:{colours}:seed=7:d={LENGTH_S}"


def _recipe(name: str) -> tuple[str, ...]:
    tune = ("-f", "lavfi", "-i", _tune())
    tags = ("-metadata", f"title={TITLE}", "-metadata", f"artist={ARTIST}")
    aac = ("-c:a", "aac", "-aac_coder", "fast", "-b:a", "128k", "-ac", "2")
    if name == "sample.mp3":
        return (*tune, *tags, "-c:a", "libmp3lame", "-b:a", "128k", "-ac", "2", "-f", "mp3")
    if name == PLAYLIST:
        return (*tune, *aac, "-f", "hls", "-hls_time", "10", "-hls_playlist_type", "vod")
    film = ("-f", "lavfi", "-i", _picture(), "-map", "1:v", "-map", "0:a")
    video = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    return (*tune, *film, *video, *aac, *tags, "-movflags", "+faststart", "-f", "mp4")


class Samples:
    """The files of one folder, each made once."""

    names = ("sample.mp4", "sample.mp3", PLAYLIST)

    def __init__(self, folder: Path, ffmpeg: str) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._lock = asyncio.Lock()

    async def path(self, name: str) -> Path:
        """Give the file, made now if it is not there. Raises RuntimeError when ffmpeg cannot make it."""
        ready = self._folder / name
        async with self._lock:
            if not ready.exists():
                await self._make(ready)
        return ready

    def segment(self, name: str) -> Path:
        """Give a piece of the playlist, which exists once the playlist does."""
        return self._folder / name

    async def _make(self, ready: Path) -> None:
        # Pieces of a playlist are named after its file, so that one cannot be made under another name.
        unfinished = ready if ready.name == PLAYLIST else ready.with_suffix(".part")
        command = (
            "-hide_banner",
            "-loglevel",
            "quiet",
            "-nostdin",
            "-y",
            *_recipe(ready.name),
            str(unfinished),
        )
        process = await asyncio.create_subprocess_exec(self._ffmpeg, *command)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if code != 0:
            unfinished.unlink(missing_ok=True)
            raise RuntimeError(
                f"ffmpeg could not make {ready.name}: code {code}; does it have x264, AAC and LAME?"
            )
        unfinished.replace(ready)
