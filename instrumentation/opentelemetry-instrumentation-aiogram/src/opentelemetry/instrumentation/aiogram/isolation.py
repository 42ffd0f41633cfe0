"""How long an update waits for its turn, when the dispatcher isolates events.

aiogram takes the lock in the middleware of the FSM. It gets a stand-in of itself there whose lock is timed; everything
else of the stand-in is the middleware's own. Without isolation nothing of this happens.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from time import perf_counter
from typing import Any

from aiogram.fsm.middleware import FSMContextMiddleware
from aiogram.fsm.storage.memory import DisabledEventIsolation

from opentelemetry.instrumentation.aiogram.updates import UpdateScope, current_update


class _TimedLock:
    __slots__ = ("_lock", "_update")

    def __init__(self, lock: AbstractAsyncContextManager[Any], update: UpdateScope) -> None:
        self._lock = lock
        self._update = update

    async def __aenter__(self) -> Any:
        started = perf_counter()
        try:
            return await self._lock.__aenter__()
        finally:
            # Also when the wait is given up.
            self._update.waited = perf_counter() - started

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._lock.__aexit__(*error)


class _TimedIsolation:
    __slots__ = ("_isolation", "_update")

    def __init__(self, isolation: Any, update: UpdateScope) -> None:
        self._isolation = isolation
        self._update = update

    def lock(self, *args: Any, **kwargs: Any) -> _TimedLock:
        return _TimedLock(self._isolation.lock(*args, **kwargs), self._update)


class _StandIn:
    __slots__ = ("_middleware", "events_isolation")

    def __init__(self, middleware: FSMContextMiddleware, update: UpdateScope) -> None:
        self._middleware = middleware
        self.events_isolation = _TimedIsolation(middleware.events_isolation, update)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._middleware, name)


def time_the_lock(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """For `FSMContextMiddleware.__call__`."""

    @wraps(original)
    def call(middleware: Any, handler: Any, event: Any, data: dict[str, Any]) -> Awaitable[Any]:
        if type(middleware.events_isolation) is not DisabledEventIsolation:
            update = current_update.get()
            if update is not None:
                middleware = _StandIn(middleware, update)
        return original(middleware, handler, event, data)

    return call
