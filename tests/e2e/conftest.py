"""The media samples are made once a run: ffmpeg needs some seconds for them."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def media_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that keeps the media site's samples for the whole run."""
    return tmp_path_factory.mktemp("samples")
