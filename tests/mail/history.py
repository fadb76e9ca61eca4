"""An account whose mail comes, changes and goes at random, with a change log and no mail server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

import numpy as np

from gateway.imap.wire.criteria import Criteria
from gateway.sync.account import Account
from gateway.sync.arrays import Mask, Rows
from gateway.sync.data import AccountData, Committed
from gateway.sync.emails import NO, UNKNOWN, YES
from gateway.sync.identity import Tier
from gateway.sync.index import Arrivals
from gateway.sync.journal import Entry, Journal, chained
from gateway.sync.mailboxes import Mailbox
from gateway.sync.placements import Placed
from gateway.sync.recorder import Recorder
from gateway.sync.verdicts import Verdicts

MAILBOXES = ("inbox", "archive", "trash", "list")
FLAGS = (b"\\seen", b"\\flagged", b"$work", b"\\deleted")
KEYWORDS = ("$seen", "$flagged", "$work", "$none")
WORDS = ("apple", "pear", "plum")
THREADS = 12
START = 1_700_000_000


class History:
    """The data of an account, and what may happen to it: one method call is one commit."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.data = AccountData(Tier.X_GUID, Journal("epoch"))
        self.data.is_indexed = True
        self._uid = 0
        self._flags_used = list(FLAGS)
        for number, id_ in enumerate(MAILBOXES):
            self.data.numbers[id_] = number
            self.data.mailboxes[id_] = _mailbox(id_)

    def step(self) -> None:
        """One commit, of one to three changes."""
        with self.commit():
            for _ in range(self._random.choice((1, 1, 2, 3))):
                changes = (self._arrive, self._arrive, self._flag, self._flag, self._move)
                rarer = (self._copy, self._expunge, self._expunge, self._drop, self._reopen)
                self._random.choice((*changes, *rarer))()

    def copy(self) -> None:
        """One commit: ten messages are in further mailboxes, or once more in theirs."""
        with self.commit():
            for _ in range(10):
                self._copy()

    def more_keywords(self) -> None:
        """From now on there are more than fit into one word of bits."""
        self.data.index.keywords.parse(b" ".join(b"k%d" % number for number in range(64)))
        self._flags_used.append(b"late")

    @contextmanager
    def commit(self) -> Iterator[None]:
        """What is done to the index inside becomes an entry of the journal."""
        data = self.data
        recorder = data.index.recorder = Recorder(data.emails)
        yield
        data.index.recorder = None
        data.committed = Committed.of(data.index)
        events, head = recorder.events(), data.journal.head
        if len(events.rows):
            digest = chained(head.digest, events.rows.tobytes())
            data.journal.append(Entry(head.sequence + 1, digest, 0, events, (), delivered=False))

    # --- what happens ----------------------------------------------------------------------------

    def _arrive(self) -> None:
        count = self._random.randrange(1, 6)
        identities = [self._random.randbytes(12) for _ in range(count)]
        self._add(self._some_number(), identities)

    def _move(self) -> None:
        placed = self._some()
        if placed:
            number, uid, row = placed
            self._remove(number, uid)
            self._add(self._some_number(), [self._identity(row)])

    def _copy(self) -> None:
        placed = self._some()
        if placed:
            self._add(self._some_number(), [self._identity(placed[2])])

    def _expunge(self) -> None:
        placed = self._some()
        if placed:
            self._remove(placed[0], placed[1])

    def _flag(self) -> None:
        for _ in range(3):
            placed = self._some()
            if placed:
                number, uid, _ = placed
                bits = self.data.index.keywords.parse_column([self._flags()])
                uids, modseqs = np.array([uid], np.uint32), np.zeros(1, np.uint64)
                self.data.index.set_flags(number, uids, bits, modseqs)

    def _drop(self) -> None:
        id_ = self._random.choice(MAILBOXES[1:])
        if id_ in self.data.mailboxes and self._random.random() < 0.3:
            self.data.let_go(id_)
            del self.data.mailboxes[id_]

    def _reopen(self) -> None:
        for id_ in MAILBOXES:
            if id_ not in self.data.mailboxes:
                self.data.mailboxes[id_] = _mailbox(id_)
                self.data.numbers[id_] = self.data.past.pop(id_)

    def _add(self, number: int, identities: list[bytes]) -> None:
        count, random, data = len(identities), self._random, self.data
        uids = np.arange(self._uid + 1, self._uid + 1 + count, dtype=np.uint32)
        self._uid += count
        start = data.emails.size
        # Dates and sizes with ties, some of them older than what is there.
        arrivals = Arrivals(
            uids,
            identities,
            None,
            data.index.keywords.parse_column([self._flags() for _ in identities]),
            np.ones(count, np.uint64),
            np.array([START + random.randrange(20) for _ in identities], np.int64),
            np.array([random.randrange(10) for _ in identities], np.int64),
        )
        rows, _ = data.index.rows_of(arrivals)
        made = range(start, data.emails.size)
        keys = np.array([random.randrange(THREADS) for _ in made], np.uint64)
        data.emails.thread[start : data.emails.size] = data.emails.threads(keys)
        attached = [random.choice((YES, NO)) for _ in made]
        data.emails.attachment[start : data.emails.size] = attached
        data.headers.extend(start, [b"Subject: %d\r\n\r\n" % random.randrange(9) for _ in made])
        data.index.place(number, Placed(uids, rows, arrivals.bits, arrivals.modseqs))

    def _remove(self, number: int, uid: int) -> None:
        self.data.index.expunge(number, self.data.index.mailbox(number).uids == uid)

    def _identity(self, row: int) -> bytes:
        emails = self.data.emails
        return int(emails.key[row]).to_bytes(8, "big") + int(emails.tail[row]).to_bytes(4, "big")

    def _flags(self) -> bytes:
        return b" ".join(flag for flag in self._flags_used if self._random.random() < 0.25)

    def _some_number(self) -> int:
        return self._random.choice(list(self.data.numbers.values()))

    def _some(self) -> tuple[int, int, int] | None:
        """Mailbox number, UID and row of a message."""
        index = self.data.index
        for number in self._random.sample(sorted(index.mailboxes), len(index.mailboxes)):
            columns = index.mailboxes[number]
            if len(columns.uids):
                at = self._random.randrange(len(columns.uids))
                return number, int(columns.uids[at]), int(columns.rows[at])
        return None

    def forget_structure(self) -> None:
        """What was known to have an attachment may turn out to be unreadable, and back."""
        rows = range(self.data.emails.size)
        for row in self._random.sample(rows, min(2, len(rows))):
            self.data.emails.attachment[row] = self._random.choice((YES, UNKNOWN))


def _mailbox(id_: str) -> Mailbox:
    return Mailbox(id_, id_.encode(), (id_,), None, None, True, None, None)


class Held:
    """Stands for an Account that is up to date; its server searches as servers do.

    disturbance: how often something happens while the account would wait. New mail is found only
    after `learn()`.
    """

    def __init__(self, history: History, random: Random) -> None:
        self.id = "account"
        self.data = history.data
        self.content = self.searching = self
        self.disturbance = 0.0
        self._history = history
        self._random = random
        self._remembered: dict[bytes, Verdicts] = {}
        self._learned = 0

    @property
    def account(self) -> Account:
        """This, where an Account is wanted."""
        return cast(Account, self)

    def wait(self) -> None:
        """Let happen what happens."""
        if self._random.random() < self.disturbance:
            self._history.step()

    async def fresh(self) -> AccountData:
        self.wait()
        return self.data

    async def indexed(self) -> AccountData:
        self.wait()
        return self.data

    async def attachments_known(self) -> None:
        self.wait()

    async def load_headers(self, _rows: range) -> None:
        self.wait()

    def learn(self) -> None:
        """The server takes in what is new."""
        self._learned = self.data.emails.size

    def forget(self) -> None:
        """The gateway was started anew, or remembered too much."""
        self._remembered.clear()

    def doubt(self) -> None:
        """What was not found in new mail is to be looked for again."""
        for line, found in list(self._remembered.items()):
            kept = np.flatnonzero(found.matching(self.data.emails.size)).astype(np.int32)
            self._remembered[line] = Verdicts()
            self._remembered[line].add(kept, kept)

    async def matching(self, sought: Criteria, rows: Mask) -> Mask:
        """As Searching.matching()."""
        self.wait()
        line = sought.encoded.line
        found = self._remembered.setdefault(line, Verdicts())
        visible = self.data.emails.visible()[: len(rows)]
        unknown = np.flatnonzero(rows & visible & ~found.known(len(rows))).astype(np.int32)
        found.add(unknown, self._searched(line, unknown))
        return found.matching(len(rows)) & rows

    def _searched(self, line: bytes, rows: Rows) -> Rows:
        seed = hashlib.blake2b(line, digest_size=4).digest()
        matching = [
            row
            for row in rows.tolist()
            if row < self._learned and hashlib.blake2b(seed + b"%d" % row).digest()[0] % 3 == 0
        ]
        return np.array(matching, np.int32)


class Asker:
    """Makes random filters and sorts."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def query(self) -> dict[str, Any]:
        """Arguments of an Email/query."""
        query: dict[str, Any] = {"collapseThreads": self._random.random() < 0.5}
        if self._random.random() < 0.9:
            query["filter"] = self._filter(self._random.choice((0, 0, 1, 2)))
        if self._random.random() < 0.9:
            query["sort"] = self._sort()
        return query

    def condition(self, *names: str) -> dict[str, Any]:
        """A FilterCondition with one of those names, and maybe another one."""
        conditions = self._conditions()
        chosen = (self._random.choice(names), *self._random.sample(sorted(conditions), 1))
        return {name: conditions[name] for name in chosen[: self._random.choice((1, 2))]}

    def _filter(self, depth: int) -> dict[str, Any]:
        random = self._random
        if depth:
            inner = [self._filter(depth - 1) for _ in range(random.choice((0, 1, 2, 2, 3)))]
            return {"operator": random.choice(("AND", "OR", "NOT")), "conditions": inner}
        conditions = self._conditions()
        names = random.sample(sorted(conditions), random.choice((0, 1, 1, 1, 2)))
        return {name: conditions[name] for name in names}

    def _conditions(self) -> dict[str, Any]:
        random = self._random
        keyword, date = random.choice(KEYWORDS), f"2023-11-14T22:13:{20 + random.randrange(20)}Z"
        return {
            "inMailbox": random.choice((*MAILBOXES, "unknown")),
            "inMailboxOtherThan": random.sample((*MAILBOXES, "unknown"), random.randrange(4)),
            "before": date,
            "after": date,
            "minSize": random.randrange(10),
            "maxSize": random.randrange(10),
            "hasAttachment": random.random() < 0.5,
            "hasKeyword": keyword,
            "notKeyword": keyword,
            "allInThreadHaveKeyword": keyword,
            "someInThreadHaveKeyword": keyword,
            "noneInThreadHaveKeyword": keyword,
            "text": random.choice(WORDS),
            "from": random.choice(WORDS),
        }

    def _sort(self) -> list[dict[str, Any]]:
        random = self._random
        by_keyword = ("hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword")
        names = ("receivedAt", "size", "subject", *by_keyword)
        return [
            {
                "property": name,
                "isAscending": random.random() < 0.5,
                **({"keyword": random.choice(KEYWORDS)} if name in by_keyword else {}),
            }
            for name in random.sample(names, random.choice((0, 1, 1, 2)))
        ]
