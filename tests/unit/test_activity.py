"""Who was seen, until somebody asks: each once, and never more than memory allows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.telemetry import activity
from app.telemetry.activity import seen, take


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    take()
    yield
    take()


def test_everybody_is_handed_over_once() -> None:
    for user in (1, 2, 1, 1):
        seen(user)
    assert take() == {1, 2}
    assert take() == set()


def test_what_is_handed_over_does_not_grow_any_more() -> None:
    seen(1)
    taken = take()
    seen(2)
    assert taken == {1}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "_MOST", 3)
    for user in range(10):
        seen(user)
    assert len(take()) == 3
