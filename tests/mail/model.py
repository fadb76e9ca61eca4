"""RFC 8621 §4.4 in plain Python: Email/query on the records that Email/get gave."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PROPERTIES = [
    *("threadId", "mailboxIds", "keywords", "size", "receivedAt", "hasAttachment"),
    *("from", "to", "sentAt", "messageId"),
]
EPOCH = datetime.fromtimestamp(0, UTC)


class Model:
    """All Emails of an account; `bases` has the base subject by Message-ID."""

    def __init__(self, emails: list[dict[str, Any]], bases: Mapping[str, str]) -> None:
        self.emails = {email["id"]: email for email in emails}
        self._bases = bases
        self._threads: dict[str, list[dict[str, Any]]] = {}
        for email in emails:
            self._threads.setdefault(email["threadId"], []).append(email)

    def thread_of(self, id_: str) -> str:
        thread_id: str = self.emails[id_]["threadId"]
        return thread_id

    # --- §4.4.1 ---------------------------------------------------------------------------------

    def matching(self, filter_: dict[str, Any] | None) -> set[str]:
        """Ids of the Emails that match."""
        return {id_ for id_, email in self.emails.items() if self._matches(email, filter_)}

    def _matches(self, email: dict[str, Any], filter_: dict[str, Any] | None) -> bool:
        if filter_ is None:
            return True
        if "operator" not in filter_:
            return all(self._holds(email, name, value) for name, value in filter_.items())
        matches = [self._matches(email, condition) for condition in filter_["conditions"]]
        return {"AND": all(matches), "OR": any(matches), "NOT": not any(matches)}[
            filter_["operator"]
        ]

    def _holds(self, email: dict[str, Any], name: str, value: Any) -> bool:
        match name:
            case "inMailbox":
                return value in email["mailboxIds"]
            case "inMailboxOtherThan":
                return any(id_ not in value for id_ in email["mailboxIds"])
            case "before":
                return _moment(email["receivedAt"]) < _moment(value)
            case "after":
                return _moment(email["receivedAt"]) >= _moment(value)
            case "minSize":
                return bool(email["size"] >= value)
            case "maxSize":
                return bool(email["size"] < value)
            case "hasAttachment":
                return bool(email["hasAttachment"] == value)
        return self._holds_keyword(email, name, value)

    def _holds_keyword(self, email: dict[str, Any], name: str, value: str) -> bool:
        match name:
            case "hasKeyword":
                return _has(email, value)
            case "notKeyword":
                return not _has(email, value)
            case "allInThreadHaveKeyword":
                return all(_has(other, value) for other in self._threads[email["threadId"]])
            case "someInThreadHaveKeyword":
                return any(_has(other, value) for other in self._threads[email["threadId"]])
            case "noneInThreadHaveKeyword":
                return not any(_has(other, value) for other in self._threads[email["threadId"]])
        raise AssertionError(name)

    # --- §4.4.2, §4.4.3 -------------------------------------------------------------------------

    def is_sorted(self, ids: list[str], sort: list[dict[str, Any]]) -> bool:
        """Whether no Email comes before one that is less than it."""
        return all(self._compare(a, b, sort) <= 0 for a, b in itertools.pairwise(ids))

    def _compare(self, a: str, b: str, sort: list[dict[str, Any]]) -> int:
        for comparator in sort:
            one, other = self._key(a, comparator), self._key(b, comparator)
            if one != other:
                return 1 if (one > other) == comparator.get("isAscending", True) else -1
        return 0

    def _key(self, id_: str, comparator: dict[str, Any]) -> Any:
        email = self.emails[id_]
        collation = comparator.get("collation", "i;unicode-casemap")
        match comparator["property"]:
            case "receivedAt" | "size" as name:
                return email[name]
            case "sentAt":
                return _moment(email["sentAt"]) if email["sentAt"] else EPOCH
            case "from" | "to" as name:
                first = (email[name] or [{"name": None, "email": ""}])[0]
                return casemap(first["name"] or first["email"], collation)
            case "subject":
                return casemap(self._bases[email["messageId"][0]], collation)
            case name:
                return self._holds_keyword(email, name, comparator["keyword"])

    def collapsed(self, ids: list[str]) -> list[str]:
        """Without those whose Thread came before."""
        seen: set[str] = set()
        kept = []
        for id_ in ids:
            if self.thread_of(id_) not in seen:
                seen.add(self.thread_of(id_))
                kept.append(id_)
        return kept


def casemap(text: str, collation: str) -> bytes:
    """What i;ascii-casemap (RFC 4790 §9.2.1) and i;unicode-casemap (RFC 5051 §2) compare."""
    if collation == "i;ascii-casemap":
        return bytes(o - 32 if 97 <= o <= 122 else o for o in text.encode())
    titled = "".join(c.title() if len(c.title()) == 1 else c for c in text)
    return unicodedata.normalize("NFKD", titled).encode()


def _moment(date: str) -> datetime:
    return datetime.fromisoformat(date)


def _has(email: dict[str, Any], keyword: str) -> bool:
    return keyword.lower() in email["keywords"]
