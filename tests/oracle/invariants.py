"""I1 to I9, and I11, at a checkpoint: what must be the same when all writers rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from tests.oracle import fresh
from tests.oracle.fresh import Fresh
from tests.oracle.imap_model import ImapModel
from tests.oracle.jmap_client import KINDS, Client
from tests.oracle.jmap_http import land
from tests.oracle.raw_reader import Raw
from tests.oracle.view import differences
from tests.oracle.violations import Violation

# A gateway may lag behind by as long as it trusts what watches the mailboxes for it.
PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.05


class Watched(Protocol):
    """The gateways, as far as they can be looked at from outside."""

    def settle(self) -> None:
        """See to it that nothing is in the way of the truth."""
        ...

    def check(self) -> None:
        """Raise Violation (I9) for what they logged, or if they ended or grew."""
        ...

    def kept_otherwise(self, account_id: str, raw: Raw) -> list[str]:
        """What they keep of messages otherwise than it is."""
        ...


@dataclass(slots=True)
class Checkpoint:
    """Everything that is compared; `ids` has the Email ids of messages by what names them."""

    client: Client
    model: ImapModel
    read_raw: Callable[[], Raw]
    gateways: Watched
    ids: dict[Any, str]
    patience: float = PATIENCE_SECONDS

    def check(self, rng: Random) -> None:
        """Raises Violation for the first invariant that does not hold."""
        self.gateways.settle()
        raw = self._check_imap()
        found = self._check_shown(raw)
        self._check_ids(raw, found)
        found = self._check_followed(rng)
        self._check_queries(rng)
        self._check_kept(rng, raw)
        self.gateways.check()

    def _check_imap(self) -> Raw:
        """I8: nothing is lost, nothing twice; Dovecot's LIST may take a moment to say so."""
        deadline = time.monotonic() + self.patience
        while True:
            raw = self.read_raw()
            is_, expected = raw.contents(), self.model.contents()
            if is_ == expected:
                return raw
            if time.monotonic() > deadline:
                gone, more = expected - is_, is_ - expected
                raise Violation("I8", f"gone from IMAP {dict(gone)}", f"come {dict(more)}")
            time.sleep(_PAUSE_SECONDS)

    def _check_shown(self, raw: Raw) -> Fresh:
        """I2: JMAP shows what IMAP has, a moment later at most."""
        expected = raw.view()
        deadline = time.monotonic() + self.patience
        while True:
            found = fresh.read(self.client.jmap, self.client.ledger)
            wrong = ["it never rests"]
            if found is not None:
                wrong = differences("JMAP", found.view(), "IMAP", expected)
                if not wrong:
                    return found
            if time.monotonic() > deadline:
                raise Violation("I2", "JMAP does not show what IMAP has", *wrong)
            time.sleep(_PAUSE_SECONDS)
            self.gateways.settle()

    def _check_ids(self, raw: Raw, found: Fresh) -> None:
        """I3: an id is of one message for ever, whatever is lost; and a message has one id.

        Where several messages look alike it is not known from outside which is which.
        """
        names: dict[int, list[Any]] = {}
        for identity, group in raw.groups().items():
            names.setdefault(group[0].number, []).append(identity)
        for id_, email in found.objects["Email"].items():
            number = int(email["from"][0]["email"].partition("@")[0].removeprefix("m"))
            if len(names.get(number, ())) == 1:
                (identity,) = names[number]
                before = self.ids.setdefault(identity, id_)
                if before != id_:
                    raise Violation("I3", f"message {number} was {before} and is {id_}")

    def _check_followed(self, rng: Random) -> Fresh:
        """I1: the client has what a fresh reader gets, in the same state."""
        deadline = time.monotonic() + self.patience
        while True:
            land(self.client.synchronise(rng))
            found = fresh.read(self.client.jmap, self.client.ledger)
            if found is not None:
                states = {kind: self.client.caches[kind].state for kind in KINDS}
                same = [k for k in KINDS if not found.states[k] or states[k] == found.states[k]]
                for kind in same:
                    self._compare(kind, found)
                if len(same) == len(KINDS):
                    return found
            if time.monotonic() > deadline:
                told = found.states if found is not None else "never at rest"
                raise Violation("I4", "/changes does not lead to the current state", f"{told}")
            time.sleep(_PAUSE_SECONDS)

    def _compare(self, kind: str, found: Fresh) -> None:
        cached, fresh_ = self.client.caches[kind], found.objects[kind]
        if cached.objects == fresh_:
            return
        odd = [
            id_ for id_ in {*cached.objects, *fresh_} if cached.objects.get(id_) != fresh_.get(id_)
        ]
        raise Violation(
            "I1",
            f"{len(odd)} {kind}s are not what /changes made of them, in state {cached.state}",
            *(
                f"{id_}: followed {_part(cached.objects, fresh_, id_)},"
                f" fresh {_part(fresh_, cached.objects, id_)}"
                for id_ in sorted(odd)[:4]
            ),
        )

    def _check_queries(self, rng: Random) -> None:
        """I6: what /queryChanges made of results is what the query gives."""
        queries = self.client.queries
        for attempt in range(3):
            answers = self.client.jmap.ask([query.call() for query in queries])
            for query, (_, now) in zip(queries, answers, strict=True):
                self.client.ledger.saw_results(query.name, now["queryState"], now["ids"])
                if query.state == now["queryState"] or attempt == 2:
                    query.check(now["ids"])
            if all(
                q.state == now["queryState"] for q, (_, now) in zip(queries, answers, strict=True)
            ):
                return
            land(self.client.synchronise(rng))

    def _check_kept(self, rng: Random, raw: Raw) -> None:
        """I11: what is kept of each copy is so, whatever the other copies of the Email are."""
        deadline = time.monotonic() + self.patience
        while wrong := self.gateways.kept_otherwise(self.client.jmap.account_id(), raw):
            if time.monotonic() > deadline:
                raise Violation("I11", "messages are kept otherwise than they are", *wrong[:8])
            time.sleep(_PAUSE_SECONDS)
            land(self.client.synchronise(rng))


def _part(objects: dict[str, Any], other: dict[str, Any], id_: str) -> Any:
    """What of an object differs from another one."""
    mine, theirs = objects.get(id_), other.get(id_)
    if mine is None or theirs is None:
        return "nothing" if mine is None else mine
    return {name: value for name, value in mine.items() if theirs.get(name) != value}
