"""Why no handler took an update: which routers and handlers were asked, in order, and what said no.

While an update is on its way, three readings of attributes leave a trail: an observer that begins to ask its handlers, a
filter that is asked, a handler whose filters have all said yes. That is all a handled update pays. The rest follows from
the tree of routers afterwards: the last filter that a handler's turn has asked is the one that said no. No filter is
ever asked again, and only names of the code are told, never an argument of a filter.
"""

import functools
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from aiogram import Router
from aiogram.dispatcher.event.handler import FilterObject
from aiogram.dispatcher.event.telegram import TelegramEventObserver
from aiogram.dispatcher.middlewares.error import ErrorsMiddleware
from aiogram.dispatcher.middlewares.user_context import UserContextMiddleware
from aiogram.filters.logic import _AndFilter, _InvertFilter, _OrFilter
from aiogram.fsm.middleware import FSMContextMiddleware
from magic_filter import MagicFilter
from magic_filter.operations import GetAttributeOperation

from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.handlers import names_of, router_name_of

#: The middlewares of every dispatcher, which stop nothing.
_OF_AIOGRAM: Final = {ErrorsMiddleware, UserContextMiddleware, FSMContextMiddleware}

#: How many steps are told, and how long the name of a filter or middleware may be.
STEPS_LIMIT: Final = 64
NAME_LIMIT: Final = 120


class Tried(NamedTuple):
    """One handler that was asked, or a router that was closed (`handler` is None), and what said no."""

    router: str
    handler: str | None
    kind: str
    """`filter`, `middleware`, or `handler` for one that was called and declined (`SkipHandler`, `UNHANDLED`)."""
    by: str
    """The names of the filter or middleware; where several middlewares come into question, all of them."""

    def __str__(self) -> str:
        """As the span attribute has it."""
        return f"{self.router}: {self.handler or '*'}: {self.kind} {self.by}".rstrip()


class Routing(NamedTuple):
    """The whole way of an update that no handler took."""

    update_type: str
    reason: str
    tried: tuple[Tried, ...]
    omitted: int
    """How many more were tried than `tried` holds."""

    def texts(self) -> list[str]:
        """The steps as the span attribute has them."""
        return [*map(str, self.tried), *([f"{self.omitted} more"] if self.omitted else [])]


class Trail:
    """What happened to one update, in the order in which it happened."""

    __slots__ = ("declined", "passed")

    def __init__(self) -> None:
        self.passed: list[Any] = []
        """Observers that asked their handlers, filters that were asked, handlers whose filters all said yes."""
        self.declined: list[Any] = []
        """Handlers that were called and did not want it."""


def explain(dispatcher: Router, update_type: str, trail: Trail) -> Routing:
    """Follow the trail through the tree of routers."""
    if update_type == semconv.UPDATE_TYPE_UNKNOWN:
        return Routing(update_type, semconv.REASON_UNKNOWN_TYPE, (), 0)
    way = _Way(update_type, trail)
    steps = way.from_door(dispatcher)
    tried = tuple(islice(steps, STEPS_LIMIT))
    kinds = {step.kind for step in tried}
    omitted = 0
    for step in steps:
        kinds.add(step.kind)
        omitted += 1
    reason = next((reason for kind, reason in _REASONS if kind in kinds), semconv.REASON_NO_HANDLERS)
    return Routing(update_type, reason, tried, omitted)


#: What came nearest to handling the update decides.
_REASONS: Final = (
    ("handler", semconv.REASON_DECLINED),
    ("middleware", semconv.REASON_MIDDLEWARE),
    ("filter", semconv.REASON_FILTERS),
)


class _Way:
    def __init__(self, update_type: str, trail: Trail) -> None:
        self._type = update_type
        # The trail holds the objects, so their identities stay theirs.
        self._passed = set(map(id, trail.passed))
        self._declined = set(map(id, trail.declined))

    def from_door(self, dispatcher: Router) -> Iterator[Tried]:
        door = dispatcher.observers["update"]
        # The door's own `trigger` is read before its middlewares run: its listener tells whether they let the update in.
        if not any(id(handler) in self._passed for handler in door.handlers):
            yield Tried(router_name_of(dispatcher), None, "middleware", _names(door.outer_middleware))
            return
        yield from self._through(dispatcher, inner=list(door.middleware))

    def _through(self, router: Router, inner: list[Any]) -> Iterator[Tried]:
        observer = router.observers.get(self._type)
        if observer is None:
            return
        name = router_name_of(router)
        if id(observer) not in self._passed:
            yield from self._closed(name, observer, inner)
            return
        yield from self._asked(name, router, observer)
        for child in router.sub_routers:
            yield from self._through(child, [])

    def _closed(self, name: str, observer: TelegramEventObserver, inner: list[Any]) -> Iterator[Tried]:
        asked = self._asked_of(observer._handler.filters)
        stops = [*inner, *observer.outer_middleware]
        if asked:
            yield Tried(name, None, "filter", filter_name(asked[-1]))
        elif stops:
            yield Tried(name, None, "middleware", _names(stops))

    def _asked(self, name: str, router: Router, observer: TelegramEventObserver) -> Iterator[Tried]:
        for handler in observer.handlers:
            function = names_of(handler, router).function
            asked = self._asked_of(handler.filters)
            if id(handler) in self._declined:
                yield Tried(name, function, "handler", "")
            elif id(handler) in self._passed:
                yield Tried(name, function, "middleware", _names(observer._resolve_middlewares()))
            elif asked:
                yield Tried(name, function, "filter", filter_name(asked[-1]))

    def _asked_of(self, filters: Iterable[FilterObject] | None) -> list[FilterObject]:
        return [one for one in filters or () if id(one) in self._passed]


def filter_name(one: FilterObject) -> str:
    """What a filter is called in the code: its class or function; of `F`, the attributes that it reads first."""
    return _filter_name(one)[:NAME_LIMIT]


def _filter_name(one: FilterObject) -> str:
    if isinstance(one.magic, MagicFilter):
        return _magic_name(one.magic)
    check = one.callback
    if isinstance(check, _InvertFilter):
        return f"not {_filter_name(check.target)}"
    if isinstance(check, (_AndFilter, _OrFilter)):
        word = " and " if isinstance(check, _AndFilter) else " or "
        return f"({word.join(map(_filter_name, check.targets))})"
    return _code_name(check)


def _magic_name(magic: MagicFilter) -> str:
    parts = ["F"]
    for operation in magic._operations:
        if not isinstance(operation, GetAttributeOperation):
            break
        parts.append(operation.name)
    return ".".join(parts)


def _code_name(target: Any) -> str:
    while isinstance(target, functools.partial):
        target = target.func
    name: str = getattr(target, "__qualname__", None) or type(target).__qualname__
    return name


def _names(middlewares: Iterable[Any]) -> str:
    return " or ".join(_code_name(one)[:NAME_LIMIT] for one in middlewares if type(one) not in _OF_AIOGRAM)
