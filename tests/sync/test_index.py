"""RFC 8621 §2, §4.1.1: the account index against a plain model of mailboxes and messages."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync import ids
from gateway.sync.counts import Counter
from gateway.sync.index import AccountIndex, Arrivals
from tests.sync import placing

MAILBOXES = 3
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Draft", b"\\Deleted", b"$label", b"\\Recent")


@dataclass
class Model:
    """Mailboxes as dictionaries: {mailbox: {uid: (identity, flags)}}."""

    mailboxes: dict[int, dict[int, tuple[int, frozenset[bytes]]]] = field(
        default_factory=lambda: {n: {} for n in range(MAILBOXES)}
    )

    def shown(self, identity: int) -> list[tuple[int, int]]:
        return [
            (number, uid)
            for number, messages in self.mailboxes.items()
            for uid, (who, flags) in messages.items()
            if who == identity and b"\\Deleted" not in flags
        ]

    def keywords(self, identity: int) -> set[str]:
        copies = [self.mailboxes[n][uid][1] for n, uid in self.shown(identity)]
        union = {f for flags in copies for f in flags if f != b"\\Recent"}
        if not all(b"\\Seen" in flags for flags in copies):
            union.discard(b"\\Seen")
        return {f.decode().lower().replace("\\", "$") for f in union}


def digest(identity: int) -> bytes:
    return ids.email_digest(b"%d" % identity)


def arrivals(index: AccountIndex, messages: list[tuple[int, int, frozenset[bytes]]]) -> Arrivals:
    return Arrivals(
        uids=np.array([uid for uid, _, _ in messages], np.uint32),
        digests=[digest(who) for _, who, _ in messages],
        given=None,
        bits=index.keywords.parse_column([b" ".join(sorted(f)) for _, _, f in messages]),
        modseqs=np.arange(len(messages), dtype=np.uint64),
        received=np.array([who * 10 for _, who, _ in messages], np.int64),
        octets=np.array([who for _, who, _ in messages], np.int64),
    )


def add(index: AccountIndex, number: int, arrived: Arrivals) -> None:
    _, made = placing.add(index, number, arrived)
    start = index.emails.size - len(made)
    keys = np.array([int(arrived.octets[i]) // 2 for i in made.tolist()], np.uint64)
    index.emails.thread[start : index.emails.size] = index.emails.threads(keys)


flags = st.frozensets(st.sampled_from(FLAGS))
numbers = st.integers(0, MAILBOXES - 1)
identities = st.integers(0, 8)
operation = st.one_of(
    st.tuples(st.just("add"), numbers, st.lists(st.tuples(identities, flags), max_size=6)),
    st.tuples(st.just("flag"), numbers, st.lists(st.tuples(st.integers(1, 30), flags))),
    st.tuples(st.just("expunge"), numbers, st.sets(st.integers(1, 30))),
    st.tuples(st.just("drop"), numbers, st.none()),
)


def apply(model: Model, index: AccountIndex, step: tuple[str, int, object]) -> None:
    kind, number, what = step
    messages = model.mailboxes[number]
    columns = index.mailbox(number)
    if kind == "add":
        assert isinstance(what, list)
        first = max(messages, default=0) + 1
        fresh = [(first + n, who, f) for n, (who, f) in enumerate(what)]
        messages.update({uid: (who, f) for uid, who, f in fresh})
        add(index, number, arrivals(index, fresh))
    elif kind == "flag":
        assert isinstance(what, list)
        changed = dict(what)
        for uid, f in changed.items():
            if uid in messages:
                messages[uid] = (messages[uid][0], f)
        index.set_flags(
            number,
            np.array(list(changed), np.uint32),
            index.keywords.parse_column([b" ".join(f) for f in changed.values()]),
            np.zeros(len(changed), np.uint64),
        )
    elif kind == "expunge":
        assert isinstance(what, set)
        for uid in what:
            messages.pop(uid, None)
        index.expunge(number, np.isin(columns.uids, list(what)))
    else:
        messages.clear()
        index.drop(number)


def check(model: Model, index: AccountIndex) -> None:
    emails = index.emails
    for identity in range(9):
        row = emails.row(ids.email_id(digest(identity)))
        shown = model.shown(identity)
        assert (row >= 0) == bool(shown)
        if shown:
            assert sorted(emails.placements(row)) == sorted(shown)
            bits = index.keywords.unpack(emails.bits[row])
            assert index.keywords.keywords(bits).keys() == model.keywords(identity)
            assert emails.received[row] == identity * 10
    for number in range(MAILBOXES):
        columns = index.mailbox(number)
        assert columns.uids.tolist() == sorted(model.mailboxes[number])
        inside = {w for w in range(9) if any(n == number for n, _ in model.shown(w))}
        rows = placing.rows_in(index, number)
        assert sorted(emails.id(row) for row in rows) == sorted(
            ids.email_id(digest(w)) for w in inside
        )
        check_counts(model, index, number, inside)


def check_counts(model: Model, index: AccountIndex, number: int, inside: set[int]) -> None:
    trash = 2

    def unread(who: int) -> bool:
        return not model.keywords(who) & {"$seen", "$draft"}

    everyone = {w for w in range(9) if model.shown(w)}
    if number == trash:
        seen_there = inside
    else:
        seen_there = {w for w in everyone if any(n != trash for n, _ in model.shown(w))}
    unread_threads = {w // 2 for w in seen_there if unread(w)} & {w // 2 for w in inside}
    counts = Counter(index).counts(number, trash)
    assert counts.total_emails == len(inside)
    assert counts.unread_emails == sum(map(unread, inside))
    assert counts.total_threads == len({w // 2 for w in inside})
    assert counts.unread_threads == len(unread_threads)


@pytest.mark.checklist("N01", "N03", "L06")
@settings(max_examples=150, deadline=None)
@given(st.lists(operation, max_size=12))
def test_index_agrees_with_the_model_after_any_changes(
    steps: list[tuple[str, int, object]],
) -> None:
    model, index = Model(), AccountIndex()
    for step in steps:
        apply(model, index, step)
        check(model, index)


@pytest.mark.checklist("N05")
def test_keywords_beyond_one_word_of_bits_are_kept_apart() -> None:
    """RFC 8621 §4.1.1: an account may have more keywords than a machine word has bits."""
    index = AccountIndex()
    names = [f"label{n}" for n in range(200)]
    fresh = [(n + 1, n, frozenset({name.encode()})) for n, name in enumerate(names)]
    for start in range(0, 200, 20):
        add(index, 0, arrivals(index, fresh[start : start + 20]))
    for n, name in enumerate(names):
        row = index.emails.row(ids.email_id(digest(n)))
        bits = index.keywords.unpack(index.emails.bits[row])
        assert index.keywords.keywords(bits) == {name: True}


def test_the_version_moves_only_when_an_email_changed() -> None:
    """RFC 8620 §5.1: the state should not change while nothing does."""
    index = AccountIndex()
    add(index, 0, arrivals(index, [(1, 1, frozenset()), (2, 2, frozenset({b"\\Deleted"}))]))
    before = index.version
    same = index.keywords.parse_column([b""])
    index.set_flags(0, np.array([1], np.uint32), same, np.array([9], np.uint64))
    index.expunge(0, index.mailbox(0).uids == 2)
    assert index.version == before
    seen = index.keywords.parse_column([b"\\Seen"])
    index.set_flags(0, np.array([1], np.uint32), seen, np.array([10], np.uint64))
    assert index.version != before


@pytest.mark.checklist("N03")
def test_a_message_that_comes_as_deleted_does_not_disturb_the_counts() -> None:
    """It may bring a Thread that no Email is in, between the counting of two mailboxes."""
    index = AccountIndex()
    for number in (0, 1):
        add(index, number, arrivals(index, [(1, 0, frozenset()), (2, 2, frozenset())]))
    counter = Counter(index)
    first = counter.counts(0, None)
    add(index, 1, arrivals(index, [(3, 8, frozenset({b"\\Deleted"}))]))
    assert counter.counts(1, None) == first == counter.counts(0, None)
