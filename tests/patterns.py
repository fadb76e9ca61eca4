"""RFC 8620 §8.5: regular expressions that no octets from elsewhere can make dear."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_ONE_CHARACTER = (_constants.IN, _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY)


def patterns_of(package: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield the name and the value of each pattern that a module of a package has."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            for pattern in value.values() if isinstance(value, dict) else (value,):
                if isinstance(pattern, re.Pattern):
                    yield f"{module.name}.{name}", pattern


def bad_repeats(pattern: re.Pattern[Any]) -> list[Any]:
    """Return repeats that can backtrack without bound, or that Python before 3.11.5 gets wrong.

    Of one character, a repeat must be possessive; of more, the last thing in an atomic group:
    possessive repeats of groups match too much there (https://github.com/python/cpython/issues/106052).
    """
    return list(_bad_repeats(_parser.parse(pattern.pattern, pattern.flags)))


def _bad_repeats(node: Any, ends_atomic_group: bool = False) -> Iterator[Any]:
    if isinstance(node, tuple) and len(node) == 2 and node[0] is _constants.IN:
        return  # a set of characters, whose ranges are pairs of numbers
    if isinstance(node, tuple) and len(node) == 2 and node[0] in _REPEATS:
        if node[1][1] is _constants.MAXREPEAT and not ends_atomic_group:
            yield node
        yield from _bad_repeats(node[1][2])
    elif isinstance(node, tuple) and len(node) == 2 and node[0] is _constants.POSSESSIVE_REPEAT:
        items = list(node[1][2])
        if len(items) != 1 or items[0][0] not in _ONE_CHARACTER:
            yield node
    elif isinstance(node, tuple) and len(node) == 2 and node[0] is _constants.ATOMIC_GROUP:
        *items, last = node[1]
        yield from _bad_repeats(items)
        yield from _bad_repeats(last, ends_atomic_group=True)
    elif isinstance(node, (_parser.SubPattern, list, tuple)):
        for item in node:
            yield from _bad_repeats(item)
