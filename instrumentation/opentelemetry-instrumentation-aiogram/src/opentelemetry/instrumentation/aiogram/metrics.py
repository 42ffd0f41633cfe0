"""The three metrics, under the names of the conventions. Their attributes are bounded: types, methods, classes.

An attribute set is made once and used again. Without a meter that measures there is no object of this class at all.
"""

from functools import lru_cache

from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.spans import Attributes
from opentelemetry.metrics import Meter, NoOpMeter


class Metrics:
    """Measures updates and Bot API calls."""

    def __init__(self, meter: Meter) -> None:
        self._process = meter.create_histogram(
            semconv.MESSAGING_PROCESS_DURATION,
            "s",
            "Duration of processing an update.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )
        self._consumed = meter.create_counter(
            semconv.MESSAGING_CLIENT_CONSUMED_MESSAGES,
            "{message}",
            "Updates that were fed to the dispatcher.",
        )
        self._calls = meter.create_histogram(
            semconv.RPC_CLIENT_CALL_DURATION,
            "s",
            "Duration of one attempt at a Bot API call.",
            explicit_bucket_boundaries_advisory=semconv.DURATION_BUCKETS,
        )

    def consumed(self, update_type: str) -> None:
        """Count an update that came in."""
        self._consumed.add(1, _update(update_type))

    def processed(
        self, seconds: float, update_type: str, outcome: str, error: type[BaseException] | None
    ) -> None:
        """Record how long an update took."""
        self._process.record(seconds, _processed(update_type, outcome, error))  # type: ignore[arg-type]  # a class is hashable

    def called(
        self, seconds: float, call: "Call", status: str | None, error: type[BaseException] | None
    ) -> None:
        """Record how long an attempt at a call took."""
        self._calls.record(seconds, _called(call, status, error))  # type: ignore[arg-type]  # a class is hashable


class Call:
    """One Bot API method of one server, known by its identity."""

    __slots__ = ("attributes", "method")

    def __init__(self, method: str, attributes: Attributes) -> None:
        self.method = method
        self.attributes = attributes


def metrics_of(meter: Meter) -> Metrics | None:
    """None when the meter measures nothing."""
    return None if isinstance(meter, NoOpMeter) else Metrics(meter)


@lru_cache(maxsize=256)
def _update(update_type: str) -> Attributes:
    return {
        semconv.MESSAGING_SYSTEM: semconv.SYSTEM_TELEGRAM,
        semconv.MESSAGING_OPERATION_NAME: semconv.OPERATION_PROCESS,
        semconv.MESSAGING_DESTINATION_NAME: update_type,
    }


@lru_cache(maxsize=1024)
def _processed(update_type: str, outcome: str, error: type[BaseException] | None) -> Attributes:
    return {
        **_update(update_type),
        semconv.TELEGRAM_UPDATE_OUTCOME: outcome,
        **({semconv.ERROR_TYPE: semconv.qualified_name(error)} if error else {}),
    }


@lru_cache(maxsize=4096)
def _called(call: Call, status: str | None, error: type[BaseException] | None) -> Attributes:
    return {
        **call.attributes,
        **({semconv.RPC_RESPONSE_STATUS_CODE: status} if status else {}),
        **({semconv.ERROR_TYPE: semconv.qualified_name(error)} if error else {}),
    }
