"""What the bot measures itself with. Everything here uses the OpenTelemetry API; only `setup` knows the SDK."""

from opentelemetry.trace import get_tracer

#: The tracer of Tracegram's own spans. Before `setup` its spans go nowhere.
tracer = get_tracer("tracegram")
