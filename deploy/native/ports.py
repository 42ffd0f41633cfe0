"""The ports of the stack on loopback: the usual ones, or free ones, and who holds one that is taken.

A free port is free at the moment of asking, and none that the kernel may give to an outgoing connection meanwhile.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, fields
from pathlib import Path

HOST = "127.0.0.1"
_LISTENING = "0A"
#: Where free ports are looked for: over the usual ones of programs, below the range of outgoing connections.
_LOWEST = 10_000
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortTaken(Exception):
    """A port of the stack is in use; the text names the process that holds it and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Each port of each program; the defaults are those that the programs have in containers, too."""

    otlp_grpc: int = 4317
    otlp_http: int = 4318
    collector_metrics: int = 8888
    collector_health: int = 13133
    tempo: int = 3200
    tempo_otlp: int = 4328
    tempo_grpc: int = 9097
    tempo_gossip: int = 7946
    loki: int = 3100
    loki_grpc: int = 9096
    prometheus: int = 9090
    alertmanager: int = 9093
    grafana: int = 3000
    telegram: int = 8090
    media: int = 8091
    bot: int = 8080


def free() -> Ports:
    """Ports that nobody holds now."""
    names = [field.name for field in fields(Ports)]
    return Ports(**dict(zip(names, free_numbers(len(names)), strict=True)))


def free_numbers(count: int) -> list[int]:
    """So many different ports that nobody holds now; by chance, so that two who ask at the same time seldom get the same."""
    first = int(_OUTGOING.read_text().split()[0]) if _OUTGOING.exists() else 0
    # Where connections may have every port, or nobody says which, there is no room below them.
    candidates = range(_LOWEST, first) if first > 2 * _LOWEST else range(_LOWEST, 65_536)
    found = []
    for port in random.sample(candidates, len(candidates)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            break
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def check(ports: dict[str, int]) -> None:
    """Raises `PortTaken` when one of the named ports is in use."""
    for name, port in ports.items():
        if not _is_free(port):
            raise PortTaken(
                f"port {port} ({name}) is in use by {holder(port)}. "
                f"End it, or choose another port: --port {name}=<number>, or --free-ports."
            )


def holder(port: int) -> str:
    """The process that listens on a port, as `name (pid 123)`; of another user's process nothing is known."""
    sockets = _inodes(port)
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        process = descriptor.parents[1]
        try:
            if descriptor.readlink().name in sockets:
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # Closed or gone meanwhile, or not ours to look into.
            continue
    return "a process of another user"


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found
