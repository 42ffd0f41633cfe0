"""What a download may reach, and how much it may receive. Installed once in the child process, for good: the
check is an audit hook on the connect itself, so neither a redirect nor a changing DNS answer passes it. It sees
Python's sockets only; programs started from here must get local files alone."""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from typing import Any

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Public by number, but answered by the host that the machine runs on or by the network around it.
_NOT_REALLY_PUBLIC = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's platform address
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; metadata of some clouds
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
)
_NOT_HOSTS = (
    ipaddress.IPv6Network("3fff::/20"),  # documentation (RFC 9637), which not every Python knows
    # 6to4 and Teredo carry an IPv4 address inside; given up on (RFC 7526), and Python's versions disagree on them.
    ipaddress.IPv6Network("2002::/16"),
    ipaddress.IPv6Network("2001::/32"),
)
# The upper half of an interface's number that holds an IPv4 address as its lower half (RFC 5214, 6.1).
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
_SENDING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


class AddressRefused(OSError):
    """The address is not on the public internet."""


class ReceivedTooMuch(OSError):
    """More bytes came in than the whole download may use."""


def is_public(address: str) -> bool:
    """Tell whether an address, in any form that `ipaddress` reads, is a host on the public internet.

    An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as itself; tunnels lead nowhere good.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_v4(ip)
    if ip.ipv4_mapped is not None:
        return _is_public_v4(ip.ipv4_mapped)
    if ip in _NAT64:
        return _is_public_v4(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    if (int(ip) >> 32) & 0xFFFFFFFF in _ISATAP or any(ip in net for net in _NOT_HOSTS):
        return False
    return ip in _GLOBAL_UNICAST and ip.is_global


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _NOT_REALLY_PUBLIC)


class NetGuard:
    """The rule for one download. `refused` and `spent` tell afterwards what stopped it."""

    def __init__(self, allow_hosts: Iterable[str] = (), *, byte_budget: int | None = None) -> None:
        """`allow_hosts` are `host:port` as a link writes them; a name is exempt wherever it leads."""
        self._exempt = {_host_key(host, port) for host, _, port in (e.rpartition(":") for e in allow_hosts)}
        self._granted: set[tuple[str, int]] = set()
        self._left = byte_budget
        self.refused = False
        self.spent = False

    def install(self) -> None:
        """Put the rule on every socket of this process. There is no way back."""
        original = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            return self.keep_allowed(host, port, original(host, port, *args, **kwargs))

        socket.getaddrinfo = getaddrinfo
        sys.addaudithook(self._audit)
        for owner, name in ((socket.socket, "recv"), (socket.socket, "recv_into"), (ssl.SSLSocket, "read")):
            setattr(owner, name, self._counted(getattr(owner, name)))

    def keep_allowed(self, host: Any, port: Any, found: list[Any]) -> list[Any]:
        """Drop the addresses of a name that may not be reached. Raises AddressRefused when none is left."""
        if _host_key(host, port) in self._exempt:
            self._granted |= {(info[4][0], info[4][1]) for info in found}
            return found
        kept = [info for info in found if is_public(info[4][0])]
        if not kept:
            self._refuse()
        return kept

    def check(self, address: Any) -> None:
        """Raise AddressRefused unless the socket address may be connected to.

        Names are refused: everything that connects has resolved its name before.
        """
        if not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[0], str):
            self._refuse()
        host, port = address[0], address[1]
        if (
            (host, port) not in self._granted
            and _host_key(host, port) not in self._exempt
            and not is_public(host)
        ):
            self._refuse()

    def _refuse(self) -> None:
        self.refused = True
        raise AddressRefused(AddressRefused.__doc__)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _SENDING and args[1] is not None:
            self.check(args[1])

    def _counted(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(receive)
        def counted(*args: Any, **kwargs: Any) -> Any:
            got = receive(*args, **kwargs)
            self.count(got if isinstance(got, int) else len(got))
            return got

        return counted

    def count(self, size: int) -> None:
        """Take received bytes off the budget. Raises ReceivedTooMuch once it is spent, and ever after."""
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            self.spent = True
            raise ReceivedTooMuch(ReceivedTooMuch.__doc__)


def _host_key(host: Any, port: Any) -> tuple[str, str]:
    return str(host).lower().strip("[]"), str(port)
