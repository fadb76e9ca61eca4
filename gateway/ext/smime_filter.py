"""RFC 9219 §4.2: filters for S/MIME, as filters that there are without it, as far as possible.

That a message is S/MIME is in its Content-Type, which the mail server searches. What a signature is
worth has to be found out for each message, and so can only be asked of all that is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gateway.jmap.errors import MethodError
from gateway.jmap.spec import Filter, FilterCondition, FilterOperator

NAMES: Final = ("hasSmime", "hasVerifiedSmime", "hasVerifiedSmimeAtDelivery")
_VERIFIED: Final = NAMES[1:]
_IS_SMIME: Final = FilterOperator(
    "OR",
    tuple(
        FilterCondition({"header": ["Content-Type", kind]})
        for kind in ("multipart/signed", "pkcs7-mime")
    ),
)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A filter without conditions of RFC 9219.

    verified: conditions on what is found besides, names and values. signed: the same filter for
    S/MIME messages alone.
    """

    filter: Filter | None
    verified: tuple[tuple[str, bool], ...]

    @property
    def signed(self) -> Filter:
        """Of all that is found, what may have been verified."""
        if self.filter is None:
            return _IS_SMIME
        return FilterOperator("AND", (self.filter, _IS_SMIME))


def rewritten(filter_: Filter | None) -> Rewritten:
    """Raises MethodError unsupportedFilter for what can be asked of all that is found only."""
    verified: list[tuple[str, bool]] = []
    if filter_ is None:
        return Rewritten(None, ())
    return Rewritten(_without(filter_, verified, is_of_all=True), tuple(verified))


def _without(filter_: Filter, verified: list[tuple[str, bool]], *, is_of_all: bool) -> Filter:
    if isinstance(filter_, FilterOperator):
        is_and = filter_.operator == "AND"
        conditions = tuple(
            _without(each, verified, is_of_all=is_of_all and is_and) for each in filter_.conditions
        )
        return FilterOperator(filter_.operator, conditions)
    values: dict[str, Any] = dict(filter_.values)
    for name in _VERIFIED:
        if name in values:
            if not is_of_all:
                raise MethodError("unsupportedFilter", f"{name} can not be in OR or NOT.")
            verified.append((name, values.pop(name)))
    has_smime = values.pop("hasSmime", None)
    rest = FilterCondition(values)
    if has_smime is None:
        return rest
    wanted = _IS_SMIME if has_smime else FilterOperator("NOT", (_IS_SMIME,))
    return FilterOperator("AND", (rest, wanted)) if values else wanted
