"""What the demo takes from the environment: the port of its page, and where programs are; no setting, no secret."""

from __future__ import annotations

import os

from app.errors import ConfigError


def demo_port() -> int:
    """Port of the demo's chat page: `DEMO_PORT`, or 8090. Raises `ConfigError` when it is no port."""
    value = os.environ.get("DEMO_PORT", "8090")
    if not value.isdecimal() or int(value) > 65535:
        raise ConfigError("DEMO_PORT: must be a number from 0 to 65535; 0 picks a free port.")
    return int(value)


def demo_environment() -> dict[str, str]:
    """What the demo's bot inherits: where programs and certificates are, and no setting or secret of this machine."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}
