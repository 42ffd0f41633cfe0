"""A port of the stack that is taken is told with the process that holds it."""

import os
import socket
from pathlib import Path

import pytest

from deploy.native.ports import HOST, Ports, PortTaken, check, free, free_numbers


def test_a_taken_port_is_told_with_its_holder_and_what_to_do() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as told:
            check({"tempo": port})

    name = Path("/proc/self/comm").read_text().strip()
    assert str(told.value) == (
        f"port {port} (tempo) is in use by {name} (pid {os.getpid()}). "
        "End it, or choose another port: --port tempo=<number>, or --free-ports."
    )


def test_free_ports_are_free_and_all_different() -> None:
    ports = free()
    numbers = {name: getattr(ports, name) for name in Ports.__slots__}

    check(numbers)
    assert len(set(numbers.values())) == len(numbers)


def test_no_outgoing_connection_is_given_a_free_port() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if first <= 20_000:
        pytest.skip("this machine gives every port to outgoing connections")
    given = free_numbers(1000)

    assert [port for port in given if first <= port <= last or port < 10_000] == []
    assert len(set(given)) == 1000
