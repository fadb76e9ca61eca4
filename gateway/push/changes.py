"""RFC 8620 §7.1, §7.3: what a client has not been told yet, and the event ids that remember it.

An event id is a row of marks: one for each type of each account that the client was told of, a
short hash of both and of the state, and then one for each account. A type has changed since if the
mark of its state now is not in the row. So any node can say what a client missed, also after a
restart and without its store.

An id that no gateway made has no mark that fits, so that everything counts as changed: what the
client hears needlessly costs it a comparison, what it does not hear costs it mail.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Set
from typing import Any

TypeState = Mapping[str, str]
"""RFC 8620 §7.1: the states of data types, by name of the type."""

# A change is missed when its mark is one of the row by chance: here once in 2^46 changes.
_MARK_OCTETS = 6
_MARK_CHARACTERS = 8
# A row as long as this has the marks of 100 accounts; what is behind that is not looked at.
_LONGEST = 4096


def state_change(
    accounts: Mapping[str, TypeState], types: Set[str] | None, told: str
) -> dict[str, Any] | None:
    """RFC 8620 §7.1: the StateChange object, or None if the client has been told everything.

    `accounts` has the states as they are now, by account id; `types` are those that the client
    wants (None: all), and `told` is the id of the last event that it got, or says it got.
    """
    known = _marks(told)
    changed: dict[str, dict[str, str]] = {}
    for account, type, state in _wanted(accounts, types):
        if _mark(account, type, state) not in known:
            changed.setdefault(account, {})[type] = state
    return {"@type": "StateChange", "changed": changed} if changed else None


def event_id(accounts: Mapping[str, TypeState], types: Set[str] | None) -> str:
    """RFC 8620 §7.3: the id of an event after which the client knows these states.

    Its characters are those of base64url; it is empty if there is nothing to know.
    """
    wanted = [*_wanted(accounts, types)]
    known = dict.fromkeys(account for account, _, _ in wanted)
    marks = [_mark(account, "", "") for account in known]
    return "".join((*(_mark(*each) for each in wanted), *marks))


def is_told_of(account: str, told: str) -> bool:
    """Whether the client was told of an account, given the id of the last event that it got."""
    return _mark(account, "", "") in _marks(told)


def _marks(told: str) -> set[str]:
    row = told[:_LONGEST]
    return {row[at : at + _MARK_CHARACTERS] for at in range(0, len(row), _MARK_CHARACTERS)}


def _wanted(
    accounts: Mapping[str, TypeState], types: Set[str] | None
) -> Iterator[tuple[str, str, str]]:
    for account, states in accounts.items():
        for type, state in states.items():
            if types is None or type in types:
                yield account, type, state


def _mark(account: str, type: str, state: str) -> str:
    text = "\0".join((account, type, state))
    return urlsafe_b64encode(
        hashlib.blake2b(text.encode(), digest_size=_MARK_OCTETS).digest()
    ).decode()
