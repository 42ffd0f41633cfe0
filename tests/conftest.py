"""Fixtures that every test may ask for. The kit behind them is in tests/kit."""

pytest_plugins = ["tests.kit.postgres", "tests.kit.telemetry"]
