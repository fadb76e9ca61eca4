"""RFC 8620 §5.5, RFC 8621 §4.4.1: a filter, evaluated as far as is known and asking for the rest.

Conditions on columns of the index are answered at once, those on text by searches, which take
time. Until these are done, each node of the filter has two bounds: the rows that may match, and
those that do. What a search can still change are the rows between, of which only those matter
that the other conditions leave.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from gateway.jmap.errors import MethodError
from gateway.jmap.spec import Filter, FilterCondition
from gateway.mail import email_filter, text_search
from gateway.mail.text_search import Text
from gateway.sync.arrays import Mask
from gateway.sync.view import View

# Each may be a pass over all mail, however short the words are.
MAX_WORDS = 256


@dataclass(frozen=True, slots=True)
class _Column:
    """A condition that the index answers."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class _Operator:
    """RFC 8620 §5.5: AND, OR or NOT (of an OR) of what is below."""

    operator: str
    parts: tuple[_Node, ...]


_Node: TypeAlias = _Column | Text | _Operator
_Bounds: TypeAlias = tuple[Mask, Mask]


class FilterTree:
    """A checked filter; `has_text` says whether it needs searches.

    learns: more may be found in the same Emails a while later, because servers may take their time
    to have new mail in their index of words, and what can not be read now may be readable then.
    among: the Emails that it is about, by id; None: all. Raises MethodError unsupportedFilter for
    one that looks for too much.
    """

    def __init__(self, filter_: Filter | None, among: Collection[str] | None = None) -> None:
        self._among = among
        self._root = _EVERYTHING if filter_ is None else _node(filter_)
        words = _words(self._root)
        self.has_text = words > 0
        self.learns = self.has_text or "hasAttachment" in email_filter.names(filter_)
        if words > MAX_WORDS:
            raise MethodError("unsupportedFilter", f"At most {MAX_WORDS} words are searched for.")
        self._found: dict[Text, _Bounds] = {}
        self._refused: set[Text] = set()

    def wanted(self, view: View) -> tuple[Text, Mask] | None:
        """A search that must be made, and of which rows; None when all that matters is known.

        To be answered by found() or refused().
        """
        bounds: dict[int, _Bounds] = {}
        possible, certain = self._bounds(view, self._root, bounds)
        open_ = possible & ~certain & self._concerned(view)
        return self._open(self._root, open_, bounds) if open_.any() else None

    def found(self, text: Text, rows: Mask, matching: Mask) -> None:
        """Take in which of `rows` match a text."""
        possible, certain = self._padded(text, len(rows))
        self._found[text] = (possible & ~rows | matching, certain | matching)

    def refused(self, text: Text) -> None:
        """Take in that a text can be searched for only in parts."""
        self._refused.add(text)

    def matching(self, view: View) -> Mask:
        """Which Emails match, shape (view.size,); complete once nothing is wanted."""
        _, certain = self._bounds(view, self._root, {})
        return certain & self._concerned(view)

    def _concerned(self, view: View) -> Mask:
        if self._among is None:
            return view.visible()
        mask = np.zeros(view.size, np.bool_)
        mask[[row for row in view.emails.rows(self._among).values() if row < view.size]] = True
        return mask & view.visible()

    def _bounds(self, view: View, node: _Node, bounds: dict[int, _Bounds]) -> _Bounds:
        """The rows that may match and those that do; noted in `bounds` for all nodes below."""
        if isinstance(node, _Column):
            mask = email_filter.matching(view, node.name, node.value)
            found = mask, mask
        elif isinstance(node, Text) and node not in self._refused:
            found = self._padded(node, view.size)
        else:
            parts = [self._bounds(view, part, bounds) for part in node.parts]
            found = _joined(node.operator, parts, view.size)
        bounds[id(node)] = found
        return found

    def _padded(self, text: Text, size: int) -> _Bounds:
        """What is known of a text; of Emails that came since, nothing."""
        possible, certain = self._found.get(text, (_NONE, _NONE))
        more = max(0, size - len(possible))
        ones, zeros = np.ones(more, np.bool_), np.zeros(more, np.bool_)
        return np.concatenate((possible, ones))[:size], np.concatenate((certain, zeros))[:size]

    def _open(
        self, node: _Node, rows: Mask, bounds: dict[int, _Bounds]
    ) -> tuple[Text, Mask] | None:
        """The first search below a node that may change whether some of `rows` match it."""
        if isinstance(node, _Column):
            return None
        possible, certain = bounds[id(node)]
        rows = rows & possible & ~certain
        if not rows.any():
            return None
        if isinstance(node, Text) and node not in self._refused:
            return node, rows
        for part in node.parts:
            left = rows
            for other in node.parts:
                if other is not part:
                    may, does = bounds[id(other)]
                    left = left & (may if node.operator == "AND" else ~does)
            if (wanted := self._open(part, left, bounds)) is not None:
                return wanted
        return None


_NONE: Mask = np.zeros(0, np.bool_)
_EVERYTHING = _Operator("AND", ())


def _node(filter_: Filter) -> _Node:
    if isinstance(filter_, FilterCondition):
        parts = [_condition(name, value) for name, value in filter_.values.items()]
        return _grouped("AND", parts)
    return _grouped(filter_.operator, [_node(condition) for condition in filter_.conditions])


def _condition(name: str, value: Any) -> _Node:
    if name in email_filter.NAMES:
        return _Column(name, value)
    return text_search.text_of(name, value) or _EVERYTHING


def _grouped(operator: str, parts: Sequence[_Node]) -> _Node:
    """Parts under an operator, those that are text as one search, which comes first.

    A negation is never searched for: what it negates finds less, and is of use to other filters.
    Some plugins of servers (fts-xapian) do not negate rightly, either.
    """
    texts = [part for part in parts if isinstance(part, Text)]
    if not texts:
        return _Operator(operator, tuple(parts))
    text = text_search.joined("AND" if operator == "AND" else "OR", texts)
    others = [part for part in parts if not isinstance(part, Text)]
    if not others and operator != "NOT":
        return text
    return _Operator(operator, (text, *others))


def _words(node: _Node) -> int:
    if isinstance(node, _Column):
        return 0
    return sum(map(_words, node.parts)) if node.parts else int(isinstance(node, Text))


def _joined(operator: str, parts: list[_Bounds], size: int) -> _Bounds:
    possible = [may for may, _ in parts]
    certain = [does for _, does in parts]
    if operator == "AND":
        every = np.ones(size, np.bool_)
        return _all(every, possible), _all(every, certain)
    none = np.zeros(size, np.bool_)
    if operator == "OR":
        return _any(none, possible), _any(none, certain)
    return ~_any(none, certain), ~_any(none, possible)


def _all(start: Mask, masks: list[Mask]) -> Mask:
    return reduce(np.logical_and, masks, start)


def _any(start: Mask, masks: list[Mask]) -> Mask:
    return reduce(np.logical_or, masks, start)
