"""Fixtures that every test may ask for. The kit behind them is in tests/kit."""

import gc

pytest_plugins = ["tests.kit.postgres", "tests.kit.telemetry"]


def pytest_collection_finish() -> None:
    """What was imported stays, and looking through it would stop the bot under test for a quarter of a second each time."""
    gc.collect()
    gc.freeze()
