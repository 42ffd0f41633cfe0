"""What telemetry costs an update: one reference bot, bare, with ours and with the usual one (`python -m tests.bench`)."""
