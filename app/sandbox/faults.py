"""Faults that a test or a person orders: errors, delays, dropped connections and broken answers.

A fault for "*" meets every method except `getUpdates`, which only a fault of its own name meets: otherwise the
poller, which calls all the time, would use every fault up.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Final, Literal

from app.sandbox.errors import ApiError
from app.sandbox.state import Json

FaultKind = Literal["error", "delay", "drop", "bad_json"]
KINDS: Final[tuple[FaultKind, ...]] = ("error", "delay", "drop", "bad_json")
FILE: Final = "file"

_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(slots=True)
class Fault:
    """One ordered fault; `times` is how many calls it still meets, `after` carries the call out first."""

    id: int
    method: str
    kind: FaultKind
    error_code: int = 500
    description: str | None = None
    retry_after: int | None = None
    delay_s: float = 0.0
    times: int = 1
    after: bool = False

    def error(self) -> ApiError:
        """Give the error that this fault answers with."""
        description = self.description or _REASONS.get(self.error_code, "Internal Server Error")
        if self.retry_after is None:
            return ApiError(self.error_code, description)
        if self.description is None:
            description = f"{description}: retry after {self.retry_after}"
        return ApiError(self.error_code, description, {"retry_after": self.retry_after})


class FaultPlan:
    """The faults that still wait for their call, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, order: Json) -> Fault:
        """Take an order; the fields are those of `Fault`."""
        fault = Fault(id=next(self._ids), **order)
        self._faults.append(fault)
        return fault

    def meet(self, method: str) -> Fault | None:
        """Give the fault that this call meets, and count it."""
        name = method.lower()
        for fault in self._faults:
            wanted = fault.method.lower()
            if wanted == name or (wanted == "*" and name != "getupdates"):
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    def listing(self) -> list[Json]:
        """Show the faults that wait."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()
