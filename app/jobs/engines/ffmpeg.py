"""Finds the ffmpeg program. Nothing is downloaded: the wheel `imageio-ffmpeg` carries its own."""

from __future__ import annotations

import importlib
import os
import shutil

from app.errors import ConfigError

_HOW_TO_MEND = (
    "install ffmpeg (Debian: apt install ffmpeg; anywhere: pip install imageio-ffmpeg) "
    "or set the path of the program"
)


def find_ffmpeg(configured: str | None) -> str:
    """Give the absolute path of ffmpeg: the configured one, else from PATH, else from the wheel.

    A bare name in `configured` is looked up on PATH. Raises ConfigError with how to mend it.
    """
    if configured:
        found = shutil.which(configured)
        if found is None:
            raise ConfigError(f"the configured ffmpeg is not a program that can be run: {_HOW_TO_MEND}")
        return os.path.abspath(found)
    found = shutil.which("ffmpeg") or _from_wheel()
    if found is None:
        raise ConfigError(f"ffmpeg was not found: {_HOW_TO_MEND}")
    return os.path.abspath(found)


def _from_wheel() -> str | None:
    try:
        wheel = importlib.import_module("imageio_ffmpeg")
        return str(wheel.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None
