"""What a download may reach: every spelling of a private address is refused where it is connected to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from app.jobs.engines.netguard import AddressRefused, NetGuard, ReceivedTooMuch, is_public

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:101:101::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "2a00:1450:4001:831:0:5efe:7f00:1",
    "2a00:1450:4001:831:200:5efe:a00:1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "localhost",
    "127.1",
    "",
]
PUBLIC = [
    "1.1.1.1",
    "142.250.74.46",
    "2606:4700:4700::1111",
    "2a00:1450:4001:831::200e",
    "2a00:1450:4001:831::5efe",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
]
SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "2130706433",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "127。0。0。1",
    "１２７.0.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [*PRIVATE, *SPELLINGS])
def test_private_address_is_not_connected_to(address: str) -> None:
    guard = NetGuard()
    with pytest.raises(AddressRefused):
        guard.check((address, 80))
    assert guard.refused


@pytest.mark.parametrize("address", ["/run/docker.sock", b"\0abstract", ("a",), (b"1.1.1.1", 80), None, 7])
def test_anything_but_an_internet_address_is_refused(address: object) -> None:
    with pytest.raises(AddressRefused):
        NetGuard().check(address)


def _answer(*addresses: str, port: int = 80) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def test_of_a_name_only_its_public_addresses_are_kept() -> None:
    guard = NetGuard()
    assert guard.keep_allowed("rebind.example", 80, _answer("10.0.0.1", "1.1.1.1")) == _answer("1.1.1.1")
    assert not guard.refused


def test_a_name_without_public_addresses_is_refused() -> None:
    guard = NetGuard()
    with pytest.raises(AddressRefused):
        guard.keep_allowed("rebind.example", 80, _answer("10.0.0.1", "127.0.0.1"))
    assert guard.refused


def test_an_allowed_host_is_exempt_on_its_own_port_and_in_its_own_spelling_only() -> None:
    guard = NetGuard({"Media.Test:8080", "[::1]:9090"})
    assert guard.keep_allowed("media.test", 8080, _answer("127.0.0.1", port=8080))
    guard.check(("127.0.0.1", 8080))
    guard.check(("::1", 9090, 0, 0))
    for address in (("127.0.0.1", 8081), ("127.0.0.2", 8080), ("::1", 8080)):
        with pytest.raises(AddressRefused):
            guard.check(address)
    for name, port in (("media.test", 8081), ("localhost", 8080)):
        with pytest.raises(AddressRefused):
            guard.keep_allowed(name, port, _answer("127.0.0.1", port=port))


def test_an_entry_without_a_port_allows_nothing() -> None:
    with pytest.raises(AddressRefused):
        NetGuard({"127.0.0.1"}).check(("127.0.0.1", 80))


def test_the_byte_budget_stays_spent() -> None:
    guard = NetGuard(byte_budget=10)
    guard.count(10)
    assert not guard.spent
    for _ in range(2):
        with pytest.raises(ReceivedTooMuch):
            guard.count(1)
    assert guard.spent


_INSTALLED = """
import json, socket, sys, _socket
from app.jobs.engines.netguard import AddressRefused, NetGuard
port, spellings = json.load(sys.stdin)
NetGuard().install()

def low_level(host):
    sock = _socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect((host, port))

def by_datagram(host):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (host, port))

def by_code(host):
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect_ex((host, port))

ways = [lambda host: socket.create_connection((host, port), 2), low_level, by_datagram, by_code]
open_ways = []
for number, way in enumerate(ways):
    for host in spellings:
        try:
            way(host)
        except AddressRefused:
            continue
        except OSError as other:
            if number and ":" in host:
                continue  # an IPv6 address on an IPv4 socket
            open_ways.append([number, host, type(other).__name__])
        else:
            open_ways.append([number, host, "connected"])
print(json.dumps(open_ways))
"""


def test_no_spelling_and_no_way_to_connect_passes_the_installed_guard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.1", port)).close()  # the door is open to everyone else
        done = subprocess.run(
            [sys.executable, "-c", _INSTALLED],
            input=json.dumps([port, SPELLINGS]).encode(),
            capture_output=True,
            check=True,
            timeout=30,
        )
        assert json.loads(done.stdout) == []
        server.settimeout(0)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()
