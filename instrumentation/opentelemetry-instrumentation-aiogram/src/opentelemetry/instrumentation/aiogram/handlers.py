"""How a handler is called in telemetry: the name of its function and of the router that holds it."""

import functools
import inspect
import weakref
from dataclasses import dataclass, field
from typing import Any

from aiogram import Dispatcher
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.fsm.scene import SceneHandlerWrapper

from opentelemetry.instrumentation.aiogram.semconv import (
    CODE_FUNCTION_NAME,
    ROUTER_UNNAMED,
    TELEGRAM_HANDLER,
    TELEGRAM_ROUTER,
    TELEGRAM_UPDATE_OUTCOME,
    handler_span_name,
    qualified_name,
)
from opentelemetry.instrumentation.aiogram.spans import Attributes


@dataclass(frozen=True, slots=True, eq=False)
class HandlerNames:
    """What the telemetry says of one handler; the same for every update."""

    function: str
    router: str
    span_name: str
    attributes: Attributes
    _of_update: dict[str, Attributes] = field(default_factory=dict)

    def of_update(self, outcome: str) -> Attributes:
        """What the span of an update says at its end, when this handler has ended it."""
        made = self._of_update.get(outcome)
        if made is None:
            made = self._of_update[outcome] = {
                TELEGRAM_UPDATE_OUTCOME: outcome,
                TELEGRAM_HANDLER: self.function,
                TELEGRAM_ROUTER: self.router,
            }
        return made


class HandlerDirectory:
    """Names each handler once. Entries go when their handler goes."""

    def __init__(self) -> None:
        # A HandlerObject compares by value and so cannot be hashed: it is known by its identity.
        self._known: dict[int, HandlerNames] = {}
        self._listeners: dict[int, bool] = {}

    def names_of(self, handler: HandlerObject, router: object) -> HandlerNames:
        """The names of a handler that the given router holds."""
        names = self._known.get(id(handler))
        if names is None:
            names = self._known[id(handler)] = names_of(handler, router)
            _forget_with(handler, self._known)
        return names

    def is_listener(self, handler: HandlerObject) -> bool:
        """True for the handler by which a dispatcher passes an update on to its own routers."""
        known = self._listeners.get(id(handler))
        if known is None:
            known = self._listeners[id(handler)] = _is_own_listener(handler)
            _forget_with(handler, self._listeners)
        return known


def _forget_with(handler: HandlerObject, known: dict[int, Any]) -> None:
    weakref.finalize(handler, known.pop, id(handler), None).atexit = False


def _is_own_listener(handler: HandlerObject) -> bool:
    callback = handler.callback
    return (
        inspect.ismethod(callback)
        and callback.__name__ == "_listen_update"
        and isinstance(callback.__self__, Dispatcher)
    )


def names_of(handler: HandlerObject, router: object) -> HandlerNames:
    """Work the names of a handler out."""
    target = _function_or_class(handler.callback)
    function, router_name = qualified_name(target), router_name_of(router)
    return HandlerNames(
        function,
        router_name,
        handler_span_name(target.__name__),
        {CODE_FUNCTION_NAME: function, TELEGRAM_ROUTER: router_name},
    )


def _function_or_class(callback: Any) -> Any:
    while True:
        if isinstance(callback, functools.partial):
            callback = callback.func
        elif isinstance(callback, SceneHandlerWrapper):
            callback = callback.handler.callback
        elif hasattr(callback, "__name__") and hasattr(callback, "__qualname__"):
            return callback
        else:
            return type(callback)


def router_name_of(router: object) -> str:
    """The name that its author gave a router."""
    name = getattr(router, "name", None)
    # aiogram names a router by its address when the author did not: a new name after every start.
    return ROUTER_UNNAMED if not name or name == hex(id(router)) else str(name)
