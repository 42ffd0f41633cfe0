"""Hashes that stand for people: alike under one key, different under another, and telling nothing of the id."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.telemetry import identity
from app.telemetry.identity import hashed, use_key


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_key", b"")
    use_key("one key of this test")


def test_a_known_hash() -> None:
    """HMAC-SHA-256 over the decimal digits; telemetry of years can be compared as long as the key is kept."""
    assert hashed(1000) == "43cb3987032f260e"


def test_another_key_gives_another_hash() -> None:
    first = hashed(1000)
    use_key("another key")
    assert hashed(1000) != first
    use_key("one key of this test")
    assert hashed(1000) == first


def test_an_empty_key_keeps_the_one_that_is_used() -> None:
    first = hashed(1000)
    use_key("")
    assert hashed(1000) == first


def test_ids_next_to_each_other_have_nothing_in_common() -> None:
    hashes = [hashed(number) for number in range(-500, 500)]
    assert len(set(hashes)) == 1000
    assert len({value[:8] for value in hashes}) > 990


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-(2**52), 2**52))
def test_a_hash_is_16_digits_and_not_the_id(telegram_id: int) -> None:
    value = hashed(telegram_id)
    assert re.fullmatch("[0-9a-f]{16}", value)
    if abs(telegram_id) > 10**6:
        assert str(abs(telegram_id)) not in value
        assert f"{abs(telegram_id):x}" not in value
