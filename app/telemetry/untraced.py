"""A block whose work leaves no spans: polls and probes that would bury the traces of updates."""

from __future__ import annotations

from opentelemetry.instrumentation.utils import suppress_instrumentation as untraced

__all__ = ["untraced"]
