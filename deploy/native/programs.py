"""How each program of the stack is started on this machine: command, environment, and the address that tells it is ready.

Pure: nothing is started or written here. All of them listen on loopback alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.native.ports import HOST, Ports

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Program:
    """One program: `binary` is a name of the stack's programs, `ready` an address that answers 200 when it works."""

    name: str
    binary: str
    arguments: tuple[str, ...]
    ready: str
    listens: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def collector(ports: Ports, folder: Path) -> Program:
    """The Collector, sending to the others by their OTLP doors."""
    return Program(
        "collector",
        "otelcol",
        (
            f"--config={ROOT / 'otel' / 'collector.yaml'}",
            "--feature-gates=processor.tailsamplingprocessor.recordpolicy",
        ),
        f"http://{HOST}:{ports.collector_health}/",
        ("otlp_grpc", "otlp_http", "collector_metrics", "collector_health"),
        {
            "COLLECTOR_GRPC_PORT": str(ports.otlp_grpc),
            "COLLECTOR_HTTP_PORT": str(ports.otlp_http),
            "COLLECTOR_METRICS_PORT": str(ports.collector_metrics),
            "COLLECTOR_HEALTH_PORT": str(ports.collector_health),
            "COLLECTOR_STORAGE": str(folder / "queues"),
            "TEMPO_OTLP_ENDPOINT": f"http://{HOST}:{ports.tempo_otlp}",
            "LOKI_OTLP_ENDPOINT": f"http://{HOST}:{ports.loki}/otlp",
            "PROMETHEUS_OTLP_ENDPOINT": f"http://{HOST}:{ports.prometheus}/api/v1/otlp",
        },
    )


def tempo(ports: Ports, folder: Path) -> Program:
    """Tempo, with its service graph going to Prometheus."""
    return Program(
        "tempo",
        "tempo",
        (f"-config.file={ROOT / 'deploy' / 'tempo' / 'tempo.yaml'}", "-config.expand-env=true"),
        f"http://{HOST}:{ports.tempo}/ready",
        ("tempo", "tempo_otlp", "tempo_grpc", "tempo_gossip"),
        {
            "TEMPO_HTTP_PORT": str(ports.tempo),
            "TEMPO_OTLP_PORT": str(ports.tempo_otlp),
            "TEMPO_GRPC_PORT": str(ports.tempo_grpc),
            "TEMPO_GOSSIP_PORT": str(ports.tempo_gossip),
            "TEMPO_STORAGE": str(folder),
            "PROMETHEUS_REMOTE_WRITE": f"http://{HOST}:{ports.prometheus}/api/v1/write",
        },
    )


def loki(ports: Ports, folder: Path) -> Program:
    """Loki."""
    return Program(
        "loki",
        "loki",
        (f"-config.file={ROOT / 'deploy' / 'loki' / 'loki.yaml'}", "-config.expand-env=true"),
        f"http://{HOST}:{ports.loki}/ready",
        ("loki", "loki_grpc"),
        {
            "LOKI_HTTP_PORT": str(ports.loki),
            "LOKI_GRPC_PORT": str(ports.loki_grpc),
            "LOKI_STORAGE": str(folder),
        },
    )


def prometheus(ports: Ports, folder: Path) -> Program:
    """Prometheus, with a copy of its configuration in `folder / "config"` that has this machine's targets."""
    return Program(
        "prometheus",
        "prometheus",
        (
            f"--config.file={folder / 'config' / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            # A budget of four weeks cannot be told from less.
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={HOST}:{ports.prometheus}",
            "--web.enable-otlp-receiver",
            "--web.enable-remote-write-receiver",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
            "--log.level=warn",
        ),
        f"http://{HOST}:{ports.prometheus}/-/ready",
        ("prometheus",),
    )


def alertmanager(ports: Ports, folder: Path) -> Program:
    """Alertmanager, alone: no cluster."""
    return Program(
        "alertmanager",
        "alertmanager",
        (
            f"--config.file={folder / 'config' / 'alertmanager.yaml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{ports.alertmanager}",
            "--cluster.listen-address=",
        ),
        f"http://{HOST}:{ports.alertmanager}/-/ready",
        ("alertmanager",),
    )


#: What the stack consists of, in the order of the start: who is sent to is there first.
PROGRAMS = {
    "alertmanager": alertmanager,
    "prometheus": prometheus,
    "loki": loki,
    "tempo": tempo,
    "collector": collector,
}
