"""How many steps a backtracking search takes: Python's own parse tree of a pattern, walked by hand and counted.

Time on a shared machine proves nothing; the number of steps is the same on each. The walk knows what the scrubber's
patterns use; its matches are compared with those of `re` in a test.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

_parser: Any = importlib.import_module("re._parser")
_CATEGORIES = {"CATEGORY_DIGIT": re.compile(r"\d"), "CATEGORY_SPACE": re.compile(r"\s")}


class Steps:
    """A search for one pattern, and the steps that it took."""

    def __init__(self, pattern: str) -> None:
        self._tree = list(_parser.parse(pattern))
        self.taken = 0

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the pattern matches, as `finditer` would tell."""
        found, start = [], 0
        while start < len(text):
            self.taken += 1
            end = next(self._sequence(self._tree, 0, text, start, False), None)
            if end is not None:
                found.append((start, end))
            start = max(end or 0, start + 1)
        return found

    def _sequence(self, tree: list[Any], index: int, text: str, at: int, caseless: bool) -> Iterator[int]:
        if index == len(tree):
            yield at
            return
        for end in self._one(tree[index], text, at, caseless):
            yield from self._sequence(tree, index + 1, text, end, caseless)

    def _one(self, node: Any, text: str, at: int, caseless: bool) -> Iterator[int]:
        self.taken += 1
        op, value = str(node[0]), node[1]
        match op:
            case "BRANCH":
                for branch in value[1]:
                    yield from self._sequence(list(branch), 0, text, at, caseless)
            case "SUBPATTERN":
                caseless = caseless or bool(value[1] & re.IGNORECASE)
                yield from self._sequence(list(value[3]), 0, text, at, caseless)
            case "MAX_REPEAT" | "POSSESSIVE_REPEAT":
                yield from self._repeat(op, value, text, at, caseless)
            case "ASSERT" | "ASSERT_NOT":
                if self._holds(value, text, at, caseless) == (op == "ASSERT"):
                    yield at
            case _:
                if at < len(text) and _takes(op, value, text[at], caseless):
                    yield at + 1

    def _repeat(self, op: str, value: Any, text: str, at: int, caseless: bool) -> Iterator[int]:
        least, most, inner = int(value[0]), int(value[1]), list(value[2])
        ends = [at]
        while len(ends) <= most:
            end = next(self._sequence(inner, 0, text, ends[-1], caseless), None)
            if end is None:
                break
            ends.append(end)
        for count in range(len(ends) - 1, least - 1, -1):
            self.taken += 1
            yield ends[count]
            if op == "POSSESSIVE_REPEAT":
                return

    def _holds(self, value: Any, text: str, at: int, caseless: bool) -> bool:
        direction, inner = value
        start = at if direction > 0 else at - inner.getwidth()[0]
        return start >= 0 and next(self._sequence(list(inner), 0, text, start, caseless), None) is not None


def _takes(op: str, value: Any, char: str, caseless: bool) -> bool:
    if op == "ANY":
        return char != "\n"
    if op == "IN":
        members = [(str(kind), given) for kind, given in value]
        negated = members[0][0] == "NEGATE"
        return negated != any(_takes(kind, given, char, caseless) for kind, given in members[negated:])
    if op == "RANGE":
        return any(value[0] <= ord(form) <= value[1] for form in _forms(char, caseless))
    if op == "CATEGORY":
        return _CATEGORIES[str(value)].match(char) is not None
    same = any(ord(form) == value for form in _forms(char, caseless))
    return {"LITERAL": same, "NOT_LITERAL": not same}[op]


def _forms(char: str, caseless: bool) -> tuple[str, ...]:
    return tuple(form for form in (char.lower(), char.upper()) if len(form) == 1) if caseless else (char,)
