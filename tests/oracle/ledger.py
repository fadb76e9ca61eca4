"""I3, I4: what an id and a state string have once stood for, they always stand for."""

from __future__ import annotations

from typing import Any

from tests.oracle.violations import Violation

# RFC 8621 §4.1: immutable, whatever the Email is asked for.
IMMUTABLE = {
    "Email": ("blobId", "threadId", "size", "receivedAt", "messageId", "subject", "from"),
    "Thread": (),
    "Mailbox": (),
}
_GONE = "notFound"


class Ledger:
    """Everything one account has ever shown."""

    def __init__(self) -> None:
        self._immutable: dict[tuple[str, str], dict[str, Any]] = {}
        self._at: dict[tuple[str, str], dict[str, dict[str, Any] | str]] = {}
        self._results: dict[tuple[str, str], list[str]] = {}
        self._order: dict[tuple[str, str], list[str]] = {}

    def saw_objects(self, kind: str, gateway: str, answer: dict[str, Any]) -> None:
        """A /get was answered. Raises Violation."""
        state = answer["state"]
        self.saw_state(kind, gateway, state)
        known = self._at.setdefault((kind, state), {})
        for found in answer["list"]:
            self._immutables(kind, found)
            before = known.setdefault(found["id"], {})
            if before == _GONE:
                raise Violation("I4", f"{kind} {found['id']} was not there in state {state}")
            assert isinstance(before, dict)
            for name, value in found.items():
                if before.setdefault(name, value) != value:
                    raise Violation(
                        "I4",
                        f"{kind} {found['id']} is not what it was in state {state}",
                        f"{name} was {before[name]}, is {value}",
                    )
        for id_ in answer["notFound"]:
            if known.setdefault(id_, _GONE) != _GONE:
                raise Violation("I4", f"{kind} {id_} was there in state {state}")

    def saw_results(self, query: str, state: str, ids: list[str]) -> None:
        """All ids of a query. Raises Violation."""
        if self._results.setdefault((query, state), ids) != ids:
            before = self._results[query, state]
            raise Violation(
                "I4",
                f"the results of {query} are not what they were in state {state}",
                f"gone {[i for i in before if i not in ids][:9]}",
                f"come {[i for i in ids if i not in before][:9]}",
                f"they were {before[:9]}... and are {ids[:9]}...",
            )

    def saw_state(self, kind: str, gateway: str, state: str) -> None:
        """A gateway says that this is the state now. Raises Violation if that has been before."""
        seen = self._order.setdefault((kind, gateway), [])
        if seen and seen[-1] == state:
            return
        if state in seen:
            raise Violation(
                "I4", f"the state of {kind} went back to {state}", f"after {seen[-3:]} of {gateway}"
            )
        seen.append(state)

    def forget_order(self) -> None:
        """Gateways may begin where they have been: their store was put back."""
        self._order.clear()

    def _immutables(self, kind: str, found: dict[str, Any]) -> None:
        known = self._immutable.setdefault((kind, found["id"]), {})
        for name in IMMUTABLE[kind]:
            if name in found and known.setdefault(name, found[name]) != found[name]:
                raise Violation(
                    "I3",
                    f"{name} of {kind} {found['id']} has changed",
                    f"was {known[name]}",
                    f"is {found[name]}",
                )
