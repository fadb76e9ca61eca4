"""RFC 8620 §5.5: the `filter` argument of /query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.jmap.errors import MethodError, invalid_arguments, quoted
from gateway.jmap.limits import Limits
from gateway.jmap.spec import Condition, Filter, FilterCondition, FilterOperator, Query

__all__ = ["Filter", "FilterCondition", "FilterOperator", "parse"]

_OPERATORS = frozenset({"AND", "OR", "NOT"})


def parse(value: dict[str, Any] | None, query: Query, limits: Limits) -> Filter | None:
    """The filter as a tree whose conditions `query` declares, with values of their kinds.

    Raises MethodError invalidArguments for what is no filter, unsupportedFilter for a condition
    the type does not have and for a tree with too many nodes or levels.
    """
    if value is None:
        return None
    return _Parser({c.name: c for c in query.conditions}, limits).node(value, depth=1)


class _Parser:
    def __init__(self, conditions: Mapping[str, Condition], limits: Limits) -> None:
        self._conditions = conditions
        self._limits = limits
        self._nodes = 0

    def node(self, value: object, depth: int) -> Filter:
        if not isinstance(value, dict):
            raise invalid_arguments("A filter must be a FilterOperator or a FilterCondition.")
        self._nodes += 1
        if self._nodes > self._limits.max_filter_nodes:
            raise _unsupported(f"The filter has more than {self._limits.max_filter_nodes} nodes.")
        if depth > self._limits.max_filter_depth:
            raise _unsupported(f"The filter has more than {self._limits.max_filter_depth} levels.")
        if "operator" in value:
            return self._operator(value, depth)
        return self._condition(value)

    def _operator(self, value: dict[str, Any], depth: int) -> FilterOperator:
        operator, conditions = value["operator"], value.get("conditions")
        if not isinstance(operator, str) or operator not in _OPERATORS:
            raise invalid_arguments('The operator of a filter must be "AND", "OR" or "NOT".')
        if not isinstance(conditions, list):
            raise invalid_arguments("The conditions of a FilterOperator must be an array.")
        if unknown := value.keys() - {"operator", "conditions"}:
            raise invalid_arguments(f"A FilterOperator has no member {quoted(unknown)}.")
        return FilterOperator(operator, tuple(self.node(c, depth + 1) for c in conditions))

    def _condition(self, value: dict[str, Any]) -> FilterCondition:
        if unknown := value.keys() - self._conditions.keys():
            raise _unsupported(f"Filtering by {quoted(unknown)} is not supported.")
        for name, operand in value.items():
            kind = self._conditions[name].kind
            if not kind.accepts(operand):
                raise invalid_arguments(f'The condition "{name}" must be of type {kind.name}.')
        return FilterCondition(value)


def _unsupported(description: str) -> MethodError:
    return MethodError("unsupportedFilter", description)
