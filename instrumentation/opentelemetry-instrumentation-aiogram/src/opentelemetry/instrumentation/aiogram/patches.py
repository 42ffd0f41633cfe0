"""Replaces attributes of aiogram's classes and puts the very same ones back.

Plain functions in place of `wrapt`: a call through them costs a third, and an update passes a dozen.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any, Final

_INHERITED: Final = object()


class Watched(property):
    """A method that tells when it is read from an instance; read from the class it is the original.

    aiogram reads a method in the moment it calls it, so a reading is a call, seen for the price of a property.
    """

    def __init__(self, original: Callable[..., Any], read: Callable[[Any], Callable[..., Any]]) -> None:
        super().__init__(read)
        self.__wrapped__ = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the original as a function of the class."""
        return self.__wrapped__(*args, **kwargs)


def watched(original: Callable[..., Any], note: Callable[[Any], None]) -> Watched:
    """Let `note` have each instance whose method is about to be called."""

    def read(instance: Any) -> Callable[..., Any]:
        note(instance)
        return MethodType(original, instance)

    return Watched(original, read)


class Patches:
    """What was replaced, and what stood there before."""

    def __init__(self) -> None:
        self._replaced: list[tuple[type, str, Any]] = []

    def replace(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        """Put what `make` makes of the present attribute in its place."""
        self._replaced.append((owner, name, vars(owner).get(name, _INHERITED)))
        setattr(owner, name, make(getattr(owner, name)))

    def undo(self) -> None:
        """Restore everything, the last first."""
        while self._replaced:
            owner, name, before = self._replaced.pop()
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
