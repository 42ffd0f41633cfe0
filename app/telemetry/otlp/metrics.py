"""Metrics by OTLP: collected and sent every fifteen seconds. They are cumulative, so a lost export loses no count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData

from app.telemetry.otlp.exporter import Place
from app.telemetry.otlp.sending import NotTaken

_log = logging.getLogger(__name__)

_EVERY_S = 15.0


class Metrics:
    """A `Work` of the exporter. `dropped` counts exports that failed."""

    signal = "metrics"
    waiting = 0

    def __init__(self, take: Callable[[], MetricsData | None], place: Place) -> None:
        self._take = take
        self._place = place
        self._next = time.monotonic() + _EVERY_S
        self.dropped = 0
        self._complained = False

    def work(self, *, patient: bool) -> None:
        """See `Work`."""
        if patient and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        try:
            data = self._take()
            if data is not None:
                self._place(encode_metrics(data).SerializeToString())
        except Exception as error:  # telemetry that is wrong may cost telemetry, never the thread
            self.dropped += 1
            if not self._complained:
                self._complained = True
                why = error if isinstance(error, NotTaken) else type(error).__qualname__
                _log.warning("the Collector does not take metrics (%s)", why)
        else:
            self._complained = False

    def give_up(self) -> None:
        """See `Work`: nothing waits."""
        self._place.close()
