"""Who a request comes from: proxies are believed only where they are trusted."""

from __future__ import annotations

import base64
from ipaddress import ip_address, ip_network

import pytest

from app.web.clients import client_of, is_allowed, knows

INSIDE = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

CASES = [
    # peer, X-Forwarded-For, client
    ("203.0.113.9", [], "203.0.113.9"),
    ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),  # forged: the peer is no proxy of ours
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),  # what the client itself wrote stays unread
    ("10.0.0.1", ["127.0.0.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),  # two headers, two proxies
    ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("fd00::1", ["2001:db8::5"], "2001:db8::5"),
    ("10.0.0.1", ["unknown"], None),
    ("10.0.0.1", ["127.0.0.1, "], None),
    ("10.0.0.1", ["203.0.113.9:4711"], None),
    ("", [], None),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), CASES)
def test_the_client_of_a_request(peer: str, forwarded: list[str], client: str | None) -> None:
    assert client_of(peer, forwarded, INSIDE) == (ip_address(client) if client else None)


def test_the_allow_list() -> None:
    inside, outside = ip_address("10.1.2.3"), ip_address("203.0.113.9")
    assert [is_allowed(client, []) for client in (inside, outside, None)] == [True, True, True]
    assert [is_allowed(client, INSIDE) for client in (inside, outside, None)] == [True, False, False]


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (_basic("metrics:pässwörd"), True),
        (_basic("metrics:pässwörd").replace("Basic", "basic"), True),
        (_basic("metrics:password"), False),
        (_basic("other:pässwörd"), False),
        (_basic("metrics"), False),
        ("Basic ???", False),
        ("Basic bmV0\udcff", False),
        ("Bearer abc", False),
        ("", False),
    ],
)
def test_credentials(header: str, known: bool) -> None:
    assert knows(header, "metrics", "pässwörd") is known
