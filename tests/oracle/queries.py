"""RFC 8620 §5.6: results of queries that a client keeps, and what it does with /queryChanges."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.oracle.jmap_http import Answer, Call
from tests.oracle.violations import Violation

_NEWEST = {"property": "receivedAt", "isAscending": False}
_SMALLEST = [{"property": "size"}, {"property": "receivedAt"}]
_TREE = {"sortAsTree": True, "filterAsTree": True}
_KEYWORDS = ("$flagged", "$seen", "work", "$junk", "later")
_WORDS = ("Lunch", "apple", "pear", "Rome")
_TEXTS = ("text", "subject", "body")
_FIELDS = ("from", "subject", "sentAt", "to")
_LIMITS = (5, 20, None, None)


@dataclass(slots=True)
class CachedQuery:
    """A query and its first results, or all of them if `is_whole`.

    upToId and a missing total are tried now and then, as the Random has it.
    """

    kind: str
    arguments: dict[str, Any]
    limit: int | None = None
    state: str = ""
    ids: list[str] = field(default_factory=list)
    is_whole: bool = True
    can_calculate: bool = False

    @property
    def needs_content(self) -> bool:
        """Whether it looks at what is in messages, which of those that are gone can not be read."""
        sorts = {comparator["property"] for comparator in self.arguments["sort"]}
        return not sorts.isdisjoint(_FIELDS) or any(
            name in _TEXTS for name in self.arguments["filter"] or ()
        )

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.kind}/query {json.dumps(self.arguments)}"

    def call(self, *, limit: int | None = None) -> Call:
        """The query itself."""
        return (
            f"{self.kind}/query",
            {**self.arguments, "calculateTotal": True, "limit": limit},
        )

    def start(self, answer: Answer) -> None:
        """Take what the query gave."""
        method, found = answer
        if method == "error":
            raise Violation("I6", f"{self.name}: {found}")
        self.state, self.ids = found["queryState"], found["ids"]
        self.can_calculate = found["canCalculateChanges"]
        self.is_whole = len(self.ids) == found["total"]

    def changes_call(self, rng: Random) -> Call:
        """What the client asks to bring it up to date."""
        asked = {
            **self.arguments,
            "sinceQueryState": self.state,
            "maxChanges": rng.choice((None, None, None, 1, 4, 30)),
            "calculateTotal": rng.random() < 0.5,
        }
        if self.ids and (not self.is_whole or rng.random() < 0.2):
            asked["upToId"] = self.ids[-1]
            asked["calculateTotal"] = asked["calculateTotal"] or self.is_whole
        return f"{self.kind}/queryChanges", asked

    def apply(self, call: Call, changes: dict[str, Any]) -> None:
        """Splice out, splice in, one by one, lowest index first. Raises Violation (I6)."""
        asked = call[1]
        removed, added = changes["removed"], changes["added"]
        self._check_shape(asked, changes)
        gone = {*removed}
        self.ids = [id_ for id_ in self.ids if id_ not in gone]
        for item in added:
            if item["index"] > len(self.ids):
                if self.is_whole and "upToId" not in asked:
                    raise Violation("I6", f"{self.name}: added past the end: {item}")
                break
            if item["id"] in self.ids:
                raise Violation("I6", f"{self.name}: added what is there: {item}")
            self.ids.insert(item["index"], item["id"])
        self.state = changes["newQueryState"]
        if self.is_whole and "total" in changes:
            self.is_whole = len(self.ids) == changes["total"]
            if not self.is_whole and "upToId" not in asked:
                raise Violation(
                    "I6", f"{self.name}: total {changes['total']}, but {len(self.ids)} results"
                )

    def check(self, fresh: list[str]) -> None:
        """Compare with what the query gives now. Raises Violation (I6)."""
        expected = fresh if self.is_whole else fresh[: len(self.ids)]
        if self.ids != expected:
            at = next(
                (i for i, (a, b) in enumerate(zip(self.ids, expected, strict=False)) if a != b),
                min(len(self.ids), len(expected)),
            )
            raise Violation(
                "I6",
                f"{self.name} {'' if self.is_whole else 'prefix '}in {self.state}",
                f"differs at {at}: cached {self.ids[at : at + 4]}, now {expected[at : at + 4]}",
                f"cached only {[i for i in self.ids if i not in expected][:9]}",
                f"now only {[i for i in expected if i not in self.ids][:9]}",
            )

    def _check_shape(self, asked: dict[str, Any], changes: dict[str, Any]) -> None:
        removed, added = changes["removed"], changes["added"]
        wrong = []
        if changes["oldQueryState"] != asked["sinceQueryState"]:
            wrong.append("oldQueryState is another one")
        if (most := asked["maxChanges"]) and len(removed) + len(added) > most:
            wrong.append(f"more than {most} changes")
        indexes = [item["index"] for item in added]
        if indexes != sorted({*indexes}) or len({*removed}) != len(removed):
            wrong.append("not in order, or twice")
        if ("total" in changes) != asked["calculateTotal"]:
            wrong.append("a total that was not asked for, or none")
        if wrong:
            raise Violation("I6", f"{self.name}: {', '.join(wrong)}", str(changes)[:500])


def choose(rng: Random, mailboxes: dict[str, str], count: int) -> list[CachedQuery]:
    """Queries a mail client keeps, and odd ones; `mailboxes` are ids by path."""
    inbox, trash = mailboxes["INBOX"], mailboxes["Trash"]
    chosen = [
        CachedQuery("Email", _email({"inMailbox": inbox}, [_NEWEST], collapse=True)),
        CachedQuery("Email", _email({"inMailbox": inbox}, [_NEWEST]), limit=10),
        CachedQuery("Mailbox", {"filter": None, "sort": [{"property": "name"}]}),
    ]
    for _ in range(count - len(chosen)):
        collapse = rng.random() < 0.4
        made = rng.choice(_MAKERS)
        filter_, sort = made(rng, rng.choice([inbox, *mailboxes.values()]), trash)
        limit = rng.choice(_LIMITS)
        chosen.append(CachedQuery("Email", _email(filter_, sort, collapse=collapse), limit))
    tree = {"filter": {"isSubscribed": True}, "sort": [{"property": "sortOrder"}], **_TREE}
    by_parent = {"filter": {"parentId": None}, "sort": [{"property": "name"}]}
    chosen.append(CachedQuery("Mailbox", rng.choice((tree, by_parent))))
    return chosen


def _email(filter_: Any, sort: list[Any], *, collapse: bool = False) -> dict[str, Any]:
    return {"filter": filter_, "sort": sort, "collapseThreads": collapse}


def _everything(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    return None, [_NEWEST]


def _one_mailbox(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    return {"inMailbox": mailbox}, rng.choice(([_NEWEST], [{"property": "receivedAt"}], []))


def _keyword(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    name = rng.choice(
        (
            "hasKeyword",
            "notKeyword",
            "allInThreadHaveKeyword",
            "someInThreadHaveKeyword",
            "noneInThreadHaveKeyword",
        )
    )
    return {name: rng.choice(_KEYWORDS)}, [_NEWEST]


def _keyword_first(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    name = rng.choice(("hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"))
    sort = {"property": name, "keyword": rng.choice(_KEYWORDS), "isAscending": rng.random() < 0.5}
    return rng.choice((None, {"inMailbox": mailbox})), [sort, _NEWEST]


def _by_value(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    value = rng.choice(_FIELDS)
    sorts = ([{"property": value, "isAscending": rng.random() < 0.5}], _SMALLEST)
    return rng.choice((None, {"inMailboxOtherThan": [trash]})), rng.choice(sorts)


def _text(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    text = {rng.choice(_TEXTS): rng.choice(_WORDS)}
    return rng.choice((text, {**text, "inMailbox": mailbox})), [_NEWEST]


def _tree(rng: Random, mailbox: str, trash: str) -> tuple[Any, list[Any]]:
    conditions = [
        {"hasKeyword": rng.choice(_KEYWORDS)},
        {"inMailbox": mailbox, "notKeyword": rng.choice(_KEYWORDS)},
        {"operator": "NOT", "conditions": [{"minSize": 400}, {"after": "2024-01-01T06:00:00Z"}]},
    ]
    return {"operator": rng.choice(("AND", "OR", "NOT")), "conditions": conditions}, [_NEWEST]


_MAKERS = (_everything, _one_mailbox, _keyword, _keyword_first, _by_value, _tree, _text)
