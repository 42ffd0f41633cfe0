"""Keeps the number of series bounded: a label says a value of its closed set, or one of the first few of an open one.

Anything else comes out as `other`; in tests it raises, but for an open label that is full. A set of labels is judged
once: a recording after that costs a look into a dictionary, and gets the same attributes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from app.errors import AppError
from app.telemetry.catalogue import CATALOGUE, OTHER, Label, Metric

#: As many sets of labels are remembered for a metric; none of the catalogue has so many series.
_MOST = 2000

_Given = tuple[tuple[str, str], ...]

_judged: dict[str, dict[_Given, dict[str, str]]] = {metric.name: {} for metric in CATALOGUE}
#: The values that an open label of a metric has said so far.
_said: dict[tuple[str, str], set[str]] = {}
_lock = Lock()  # exporters record on threads of their own
_strict = False


class UndeclaredLabel(AppError):
    """A metric is recorded with labels that the catalogue does not declare."""


def use_strict(strict: bool) -> None:
    """Whether an undeclared label or value raises (in tests) or is mended (in production)."""
    global _strict
    _strict = strict


def attributes(metric: Metric, labels: Mapping[str, str]) -> Mapping[str, str]:
    """What may come out of a recording's labels. Raises `UndeclaredLabel` only when strict."""
    known = _judged[metric.name]
    given = tuple(labels.items())
    found = known.get(given)
    return found if found is not None else _judge(metric, labels, known, given)


def _judge(
    metric: Metric, labels: Mapping[str, str], known: dict[_Given, dict[str, str]], given: _Given
) -> Mapping[str, str]:
    declared = {label.key: label for label in metric.labels}
    if _strict and declared.keys() != labels.keys():
        raise UndeclaredLabel(f"{metric.name}: the labels are {[*declared]}, not {[*labels]}")
    with _lock:
        judged = {key: _value(metric, label, labels.get(key, OTHER)) for key, label in declared.items()}
        if len(known) < _MOST:
            known[given] = judged
    return judged


def _value(metric: Metric, label: Label, value: str) -> str:
    if label.values is not None:
        if value in label.values:
            return value
        if _strict:
            raise UndeclaredLabel(f"{metric.name}: {label.key} is none of its {len(label.values)} values")
        return OTHER
    said = _said.setdefault((metric.name, label.key), set())
    if value not in said and len(said) < label.limit:
        said.add(value)
    return value if value in said else OTHER
