"""Where a Bot API server is, as span attributes."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.instrumentation.aiogram.semconv import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.instrumentation.aiogram.spans import Attributes, AttributeValue

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@lru_cache(maxsize=128)
def server_attributes(url: str) -> Attributes:
    """Host and port of a URL, and nothing else of it. The port only if it is not the default one."""
    server = urlsplit(url)
    attributes: dict[str, AttributeValue] = {}
    if server.hostname:
        attributes[SERVER_ADDRESS] = server.hostname
    if server.port and server.port != _DEFAULT_PORTS.get(server.scheme):
        attributes[SERVER_PORT] = server.port
    return attributes
