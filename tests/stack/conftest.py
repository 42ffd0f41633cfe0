"""The stack once for all tests: real programs on free ports. `make stack-test` builds them before; a test does not wait for that."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.native.run import Stack, running

# No share of the ordinary traces is kept, and decisions come soon: what is in Tempo is there for a reason.
QUICK = {"SAMPLING_PERCENT": "0", "SAMPLING_WAIT": "1s", "SPAN_METRICS_INTERVAL": "1s"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Collector, Tempo, Loki, Prometheus and Alertmanager, all ready."""
    async with running(tmp_path_factory.mktemp("stack"), settings=QUICK) as started:
        yield started
