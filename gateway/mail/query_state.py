"""RFC 8620 §5.5, §5.6: what the state of a query is made of.

`<query>.<state>`, or `<query>-<found>.<state>`. query is a digest of filter, sort and the type's
own arguments, so that a state is only ever compared with one of the same query. state is that of
the records which the query looks at. found is there when the results may change although no record
does, because more becomes known of them; it is a digest of what was found.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any, Final

from gateway.jmap.errors import cannot_calculate_changes
from gateway.jmap.spec import Comparator, Filter, FilterCondition, QueryRequest

# To be raised when a filter or sort begins to mean something else than in earlier releases, whose
# states may still be used.
_MEANING: Final = 1
_QUERY_OCTETS: Final = 6
_FOUND_OCTETS: Final = 8


def query_state(request: QueryRequest, state: str, found: bytes | None = None) -> str:
    """The state of a query; `found` are octets that tell apart what it finds at that state."""
    more = "" if found is None else f"-{_digest(found, _FOUND_OCTETS)}"
    return f"{_named(request)}{more}.{state}"


def state_in(value: str, request: QueryRequest) -> str:
    """The state of the records in the state of a query.

    Raises MethodError cannotCalculateChanges if it is no state of this query.
    """
    query, _, state = value.partition(".")
    if query.partition("-")[0] != _named(request):
        raise cannot_calculate_changes("The state is not one of this query.")
    return state


def _named(request: QueryRequest) -> str:
    """The same for the same query, however its JSON was written."""
    sort = [_comparator(comparator) for comparator in request.sort]
    query = [_MEANING, _filter(request.filter), sort, request.arguments]
    return _digest(json.dumps(query, sort_keys=True).encode(), _QUERY_OCTETS)


def _filter(filter_: Filter | None) -> Any:
    if filter_ is None:
        return {}
    if isinstance(filter_, FilterCondition):
        return filter_.values
    return [filter_.operator, [_filter(inner) for inner in filter_.conditions]]


def _comparator(comparator: Comparator) -> Any:
    return [
        comparator.property,
        comparator.is_ascending,
        comparator.collation,
        comparator.extra,
    ]


def _digest(octets: bytes, size: int) -> str:
    return blake2b(octets, digest_size=size).hexdigest()
