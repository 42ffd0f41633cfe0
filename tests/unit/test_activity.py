"""Users of the last five minutes: each counted once, forgotten in time, and never more than memory allows."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.telemetry import activity
from app.telemetry.activity import WINDOW_S, active_users, seen


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(activity, "time", made)
    monkeypatch.setattr(activity, "_last_seen", OrderedDict())
    return made


def test_a_user_counts_once() -> None:
    for user in (1, 2, 1, 1):
        seen(user)
    assert active_users() == 2


def test_a_user_is_forgotten_after_the_window(clock: Clock) -> None:
    seen(1)
    clock.now += WINDOW_S
    assert active_users() == 1
    clock.now += 0.1
    assert active_users() == 0


def test_a_user_who_comes_back_stays(clock: Clock) -> None:
    seen(1)
    clock.now += 200
    seen(2)
    seen(1)
    clock.now += 200
    assert active_users() == 2
    clock.now += 200
    assert active_users() == 0


def test_memory_is_bounded_and_the_longest_gone_go_first(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_MOST", 3)
    for user in (1, 2, 3):
        seen(user)
    clock.now += 1
    seen(1)
    seen(4)
    assert active_users() == 3
    clock.now += WINDOW_S
    assert active_users() == 2  # 1 and 4; 2 had to go, 3 is too long ago


def test_no_id_is_kept() -> None:
    seen(123456789)
    assert "123456789" not in repr(activity._last_seen)


def test_exporters_may_read_on_their_threads(clock: Clock) -> None:
    def read(_: int) -> None:
        for _ in range(300):
            active_users()

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, n) for n in range(4)]
        for user in range(3000):
            clock.now += 1
            seen(user)
        for reader in readers:
            reader.result()
    assert active_users() == WINDOW_S + 1
