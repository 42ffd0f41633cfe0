"""The ports of the stack on loopback: the usual ones, or free ones, and who holds one that is taken.

A free port is free at the moment of asking; whoever starts at once gets it.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

HOST = "127.0.0.1"
_LISTENING = "0A"


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
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in names]
        for probe in sockets:
            probe.bind((HOST, 0))
        return Ports(**{name: probe.getsockname()[1] for name, probe in zip(names, sockets, strict=True)})


def check(ports: dict[str, int]) -> None:
    """Raises `PortTaken` when one of the named ports is in use."""
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise PortTaken(
                    f"port {port} ({name}) is in use by {holder(port)}. "
                    f"End it, or choose another port: --port {name}=<number>, or --free-ports."
                ) from error


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
