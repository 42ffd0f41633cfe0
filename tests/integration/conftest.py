"""Fixtures of the integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.jobs import worker
from tests.kit.telemetry import Captured


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, telemetry: Captured) -> Path:
    """Where a worker makes its work folders. Its waits are short, and its spans are recorded."""
    monkeypatch.setattr(worker, "_POLL_EVERY_S", 0.02)
    monkeypatch.setattr(worker, "_RETRY_AFTER_S", 0.0)
    path = tmp_path / "work"
    path.mkdir()
    return path
