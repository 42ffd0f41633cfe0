"""How a handler is called in telemetry: the name of its function and of the router that holds it."""

import functools
import inspect
import weakref
from typing import Any, NamedTuple

from aiogram import Dispatcher
from aiogram.dispatcher.event.handler import HandlerObject
from aiogram.fsm.scene import SceneHandlerWrapper

from opentelemetry.instrumentation.aiogram.semconv import (
    CODE_FUNCTION_NAME,
    ROUTER_UNNAMED,
    TELEGRAM_ROUTER,
    handler_span_name,
    qualified_name,
)
from opentelemetry.instrumentation.aiogram.spans import Attributes


class HandlerNames(NamedTuple):
    """What the telemetry says of one handler; the same for every update."""

    function: str
    router: str
    span_name: str
    attributes: Attributes


class HandlerDirectory:
    """Names each handler once. Entries go when their handler goes."""

    def __init__(self) -> None:
        # A HandlerObject compares by value and so cannot be hashed: it is known by its identity.
        self._known: dict[int, HandlerNames] = {}

    def names_of(self, handler: HandlerObject, router: object) -> HandlerNames:
        """The names of a handler that the given router holds."""
        names = self._known.get(id(handler))
        if names is None:
            names = self._known[id(handler)] = _names(handler.callback, router)
            weakref.finalize(handler, self._known.pop, id(handler), None).atexit = False
        return names


def is_own_listener(handler: HandlerObject) -> bool:
    """True for the handler by which a dispatcher passes an update on to its own routers."""
    callback = handler.callback
    return (
        inspect.ismethod(callback)
        and callback.__name__ == "_listen_update"
        and isinstance(callback.__self__, Dispatcher)
    )


def _names(callback: Any, router: object) -> HandlerNames:
    target = _function_or_class(callback)
    function, router_name = qualified_name(target), _router_name(router)
    attributes = {CODE_FUNCTION_NAME: function, TELEGRAM_ROUTER: router_name}
    return HandlerNames(function, router_name, handler_span_name(target.__name__), attributes)


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


def _router_name(router: object) -> str:
    name = getattr(router, "name", None)
    # aiogram names a router by its address when the author did not: a new name after every start.
    return ROUTER_UNNAMED if not name or name == hex(id(router)) else str(name)
