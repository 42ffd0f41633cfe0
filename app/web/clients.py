"""Who a request comes from, and whether that one may in. Pure.

`X-Forwarded-For` is believed only as far as trusted proxies wrote it: anybody can send one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_of(peer: str, forwarded: Sequence[str], trusted: Iterable[Network]) -> Address | None:
    """The address of the client; None when it cannot be told.

    `peer` is the other end of the connection, `forwarded` the values of `X-Forwarded-For` in their order. Each trusted
    proxy has appended the address that it saw, so the client is the last one that is no trusted proxy.
    """
    proxies = tuple(trusted)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    for hop in [peer, *reversed(hops)]:
        address = _address(hop)
        if address is None or not _in(address, proxies):
            return address
    return _address(hops[0] if hops else peer)


def is_allowed(client: Address | None, allowed: Sequence[Network]) -> bool:
    """Whether the allow list lets this client in; an empty list lets everybody in."""
    return not allowed or (client is not None and _in(client, allowed))


def knows(authorization: str, user: str, password: str) -> bool:
    """Whether an `Authorization` header holds these credentials (Basic, RFC 7617), compared in constant time."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        credentials = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(credentials, f"{user}:{password}".encode())


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both families shows IPv4 like this.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
