"""The forms of values that more than one setting has, or that have rules of their own: web addresses and header lists."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator

#: An empty value is an unset one: so OpenTelemetry's specification of environment variables has it.
OtlpProtocol = Annotated[Literal["http/protobuf"], BeforeValidator(lambda value: value or "http/protobuf")]


def web_address(value: str) -> str:
    """An address without a slash at its end; empty is allowed. Raises `ValueError` for what is none, or holds a password."""
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    # Addresses are shown, in links above all. Not parsed: a parser's own error would quote the password.
    if "@" in value:
        raise ValueError("must hold no user name and no password")
    return value.rstrip("/")


def header_pairs(value: str) -> dict[str, str]:
    """Headers by name, of `name=value` with commas between. Values are percent-decoded, as the specification of
    OpenTelemetry's OTLP exporters has it. Raises `ValueError`, without the value, for an entry that is no pair.
    """
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError("each entry needs a name and a value, with = between")
    return {name.strip(): unquote(text.strip()) for name, _, text in pairs}
