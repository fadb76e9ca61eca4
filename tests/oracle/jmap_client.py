"""RFC 8620 §5.2, §5.6: a client that follows an account by /changes and /queryChanges alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from tests.oracle.jmap_http import Answer, Call, Jmap
from tests.oracle.ledger import IMMUTABLE, Ledger
from tests.oracle.queries import CachedQuery, choose
from tests.oracle.violations import Violation

KINDS = ("Mailbox", "Thread", "Email")
MUTABLE = {"Email": ["mailboxIds", "keywords"], "Thread": ["emailIds"]}
PROPERTIES: dict[str, list[str] | None] = {
    "Email": [*IMMUTABLE["Email"], *MUTABLE["Email"]],
    "Thread": MUTABLE["Thread"],
    "Mailbox": None,
}
_OBJECTS_AT_ONCE = 500
_MOST_ROUNDS = 3000
# Yields whenever a request is under way.
Work: TypeAlias = Generator[None, None, None]


@dataclass(slots=True)
class Cache:
    """What the client has of one type, and the state it has it from."""

    state: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)


class Client:
    """The model client.

    may_lose: whether something has happened after which cannotCalculateChanges is right (I5).
    may_forget: whether that is so of what is in messages that are gone: one gateway may know it,
    and another one can not.
    """

    def __init__(
        self,
        jmap: Jmap,
        ledger: Ledger,
        may_lose: Callable[[], bool],
        may_forget: Callable[[], bool],
    ) -> None:
        self.jmap = jmap
        self.ledger = ledger
        self._may_lose = may_lose
        self._may_forget = may_forget
        self.caches = {kind: Cache() for kind in KINDS}
        self.queries: list[CachedQuery] = []
        self.counts = jmap.counts
        # Since when (time.monotonic) Mailboxes may be other than they are known.
        self.known_at = time.monotonic()

    # --- Start -----------------------------------------------------------------------------------

    def start(self, rng: Random, queries: int) -> Work:
        """Read everything, and choose what queries to keep."""
        for kind in KINDS:
            yield from self._anew(kind)
        mailboxes = self.caches["Mailbox"].objects
        ids = {"/".join(path_of(mailboxes, id_)): id_ for id_ in mailboxes}
        self.queries = choose(rng, ids, queries)
        for query in self.queries:
            yield from self._query_anew(query)

    def _anew(self, kind: str) -> Work:
        """Forget a type and read all of it. The state is older than what is read, never newer."""
        cache = self.caches[kind]
        if kind == "Mailbox":
            (answer,) = yield from self._gets([(kind, None, None)])
            cache.state, cache.objects = answer["state"], {m["id"]: m for m in answer["list"]}
            return
        (empty,) = yield from self._gets([(kind, [], None)])
        (_, found), *_ = yield from self.jmap.fly([("Email/query", {"limit": None})])
        emails = yield from self._objects("Email", found["ids"])
        if kind == "Thread":
            wanted = list(dict.fromkeys(email["threadId"] for email in emails))
            emails = yield from self._objects("Thread", wanted)
        cache.state, cache.objects = empty["state"], {email["id"]: email for email in emails}

    def _objects(
        self, kind: str, ids: list[str], properties: list[str] | None = None
    ) -> Generator[None, None, list[dict[str, Any]]]:
        """Those of the objects that are there."""
        chunks = [
            (kind, ids[n : n + _OBJECTS_AT_ONCE], properties)
            for n in range(0, len(ids), _OBJECTS_AT_ONCE)
        ]
        answers = yield from self._gets(chunks)
        return [found for answer in answers for found in answer["list"]]

    def _gets(
        self, wanted: Sequence[tuple[str, list[str] | None, list[str] | None]]
    ) -> Generator[None, None, list[dict[str, Any]]]:
        """Answers to /get of (type, ids, properties), all in one request."""
        if not wanted:
            return []
        calls: list[Call] = [
            (f"{kind}/get", {"ids": ids, "properties": properties or PROPERTIES[kind]})
            for kind, ids, properties in wanted
        ]
        answers = yield from self.jmap.fly(calls)
        return [
            self._seen(kind, answer) for (kind, _, _), answer in zip(wanted, answers, strict=True)
        ]

    def _seen(self, kind: str, answer: Answer) -> dict[str, Any]:
        method, found = answer
        if method == "error":
            raise Violation("I9", f"{kind}/get: {found}")
        self.ledger.saw_objects(kind, self.jmap.asked, found)
        return found

    # --- /changes --------------------------------------------------------------------------------

    def synchronise(self, rng: Random) -> Work:
        """Bring all that is cached up to date."""
        known_at = time.monotonic()
        pending = {kind: _Chain() for kind in rng.sample(KINDS, len(KINDS))}
        for _ in range(_MOST_ROUNDS):
            if not pending:
                break
            pending = yield from self._round(pending, rng)
        else:
            raise Violation("I4", f"/changes of {[*pending]} comes to no end")
        self.known_at = known_at
        yield from self._synchronise_queries(rng)

    def _round(
        self, pending: dict[str, _Chain], rng: Random
    ) -> Generator[None, None, dict[str, _Chain]]:
        """One /changes of each type, and the objects that it names; gives what is to go on."""
        most = rng.choice((None, None, 1, 3, 10, 100))
        by_reference = rng.random() < 0.5
        calls: list[Call] = []
        for kind in pending:
            asked = {"sinceState": self.caches[kind].state, "maxChanges": most}
            calls += [(f"{kind}/changes", asked), *_references(kind, len(calls), by_reference)]
        answers = yield from self.jmap.fly(calls)
        self._take_note(calls, answers)
        size = len(calls) // len(pending)
        left = {}
        for number, (kind, chain) in enumerate(pending.items()):
            changes, *found = answers[number * size : (number + 1) * size]
            if changes[0] == "error":
                self._lost(f"{kind}/changes", changes[1], self.caches[kind].state)
                yield from self._anew(kind)
                continue
            chain.add(kind, calls[number * size][1], changes[1])
            if found:
                objects = [o for _, answer in found for o in answer["list"]]
            else:
                objects = yield from self._named(kind, changes[1])
            yield from self._apply(kind, changes[1], objects)
            if changes[1]["hasMoreChanges"]:
                left[kind] = chain
        return left

    def _take_note(self, calls: list[Call], answers: list[Answer]) -> None:
        """Of all states and objects in the order in which they were told."""
        lost = set()
        for (method, _), answer in zip(calls, answers, strict=True):
            kind, _, verb = method.partition("/")
            if verb == "get" and kind not in lost:
                self._seen(kind, answer)
            elif verb == "changes" and answer[0] == "error":
                lost.add(kind)  # what is asked for by reference to it is lost, too
            elif verb == "changes" and not answer[1]["hasMoreChanges"]:
                self.ledger.saw_state(kind, self.jmap.asked, answer[1]["newState"])

    def _named(
        self, kind: str, changes: dict[str, Any]
    ) -> Generator[None, None, list[dict[str, Any]]]:
        created = yield from self._objects(kind, changes["created"])
        properties = MUTABLE.get(kind, changes.get("updatedProperties"))
        updated = yield from self._objects(kind, changes["updated"], properties)
        return created + updated

    def _apply(self, kind: str, changes: dict[str, Any], objects: list[dict[str, Any]]) -> Work:
        cache = self.caches[kind]
        for id_ in changes["destroyed"]:
            cache.objects.pop(id_, None)
        created = {*changes["created"]}
        # What was gone for a moment when it was asked for is not known any more.
        partial = [o["id"] for o in objects if o["id"] not in {*cache.objects, *created}]
        whole = yield from self._objects(kind, partial)
        for found in [*objects, *whole]:
            cache.objects.setdefault(found["id"], {}).update(found)
        cache.state = changes["newState"]

    def _lost(self, what: str, error: dict[str, Any], of: str, *, expected: bool = False) -> None:
        """RFC 8620 §5.2: the cache is of no use any more."""
        if error["type"] != "cannotCalculateChanges":
            raise Violation("I9", f"{what}: {error}")
        self.counts[f"{what} lost"] += 1
        if not (expected or self._may_lose()):
            raise Violation("I5", f"{what} from {self.jmap.asked}: {error}", of)

    # --- /queryChanges -------------------------------------------------------------------------

    def _synchronise_queries(self, rng: Random) -> Work:
        able = [query for query in self.queries if query.can_calculate]
        calls = [query.changes_call(rng) for query in able]
        answers = (yield from self.jmap.fly(calls)) if calls else []
        for query, call, (method, found) in zip(able, calls, answers, strict=True):
            if method != "error":
                query.apply(call, found)
                continue
            if found["type"] == "tooManyChanges" and call[1]["maxChanges"] is not None:
                self.counts["tooManyChanges"] += 1
            else:
                forgotten = query.needs_content and self._may_forget()
                self._lost(f"{query.kind}/queryChanges", found, query.name, expected=forgotten)
            yield from self._query_anew(query)
        for query in self.queries:
            if not query.can_calculate or (query.limit and len(query.ids) < query.limit // 2):
                yield from self._query_anew(query)

    def _query_anew(self, query: CachedQuery) -> Work:
        self.counts["queries made"] += 1
        (answer,) = yield from self.jmap.fly([query.call(limit=query.limit)])
        query.start(answer)
        if query.is_whole:
            self.ledger.saw_results(query.name, query.state, [*query.ids])


class _Chain:
    """RFC 8620 §5.2: what holds for the answers from one state to the current one, together."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def add(self, kind: str, asked: dict[str, Any], changes: dict[str, Any]) -> None:
        """Check one answer. Raises Violation."""
        events = [
            (id_, what) for what in ("created", "updated", "destroyed") for id_ in changes[what]
        ]
        wrong = []
        if changes["oldState"] != asked["sinceState"]:
            wrong.append("oldState is another one")
        if asked["maxChanges"] and len(events) > asked["maxChanges"]:
            wrong.append("more than maxChanges")
        if len(dict(events)) < len(events):
            wrong.append("an id twice")
        if changes["hasMoreChanges"] and changes["newState"] == changes["oldState"]:
            wrong.append("no progress")
        wrong += [
            f"{id_} {what} after {self._last[id_]}"
            for id_, what in events
            if (self._last.get(id_), what) in _IMPOSSIBLE
        ]
        if wrong:
            raise Violation("I4", f"{kind}/changes: {', '.join(wrong)}", str(changes)[:800])
        self._last.update(events)


# Ids come back with the message (Design §5), so that one may be created after it was destroyed.
_IMPOSSIBLE = {("updated", "created"), ("created", "created"), ("destroyed", "updated")}


def _references(kind: str, position: int, wanted: bool) -> list[Call]:
    """RFC 8620 §3.7: /get of what the /changes at a position of the request names."""
    if not wanted:
        return []

    def reference(path: str) -> dict[str, str]:
        return {"resultOf": str(position), "name": f"{kind}/changes", "path": path}

    updated: dict[str, Any] = {"#ids": reference("/updated"), "properties": MUTABLE.get(kind)}
    if kind == "Mailbox":
        del updated["properties"]
        updated["#properties"] = reference("/updatedProperties")
    created = {"#ids": reference("/created"), "properties": PROPERTIES[kind]}
    return [(f"{kind}/get", created), (f"{kind}/get", updated)]


def path_of(mailboxes: dict[str, dict[str, Any]], id_: str) -> list[str]:
    """Names from the root to a Mailbox; the inbox is called as in IMAP."""
    path: list[str] = []
    at: str | None = id_
    while at is not None:
        mailbox = mailboxes[at]
        path.insert(0, "INBOX" if mailbox["role"] == "inbox" else mailbox["name"])
        at = mailbox["parentId"]
        if len(path) > len(mailboxes):
            raise Violation("I1", f"Mailbox {id_} is its own ancestor")
    return path


def paths_of(mailboxes: dict[str, dict[str, Any]]) -> dict[str, str]:
    """All paths of which every level is known."""
    known: dict[str, str] = {}
    for id_ in mailboxes:
        with suppress(KeyError):
            known[id_] = "/".join(path_of(mailboxes, id_))
    return known
