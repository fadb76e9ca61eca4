"""RFC 8620 §5.2, design §6: random histories, committed on one node and done again on others."""

from __future__ import annotations

import copy
from collections import Counter as Tally
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync import archive, changes, commit, record, snapshot
from gateway.sync.changes import Changes
from gateway.sync.counts import Counter
from gateway.sync.data import AccountData
from gateway.sync.journal import KINDS, Journal, UnknownState
from tests.sync.histories import History, change
from tests.sync.worlds import account, email_id, follow, shown

seeds = st.integers(0, 2**32)


def told(data: AccountData) -> dict[str, Any]:
    """What an account says of its mail, whatever the order of its tables."""
    keywords = data.index.keywords
    return {
        "states": {kind: data.journal.state(kind) for kind in KINDS},
        "counts": data.shown_counts,
        "names": {id_: mailbox.path for id_, mailbox in data.mailboxes.items()},
        "mail": {
            id_: [
                (uid, data.emails.id(row), sorted(keywords.keywords(keywords.unpack(bits))))
                for uid, row, bits in zip(
                    columns.uids.tolist(), columns.rows.tolist(), columns.bits, strict=True
                )
            ]
            for id_ in data.numbers
            if (columns := data.columns(id_)) is not None
        },
        "headers": [data.headers.get(row) for row in range(data.committed.rows)],
    }


def test_counts_that_are_followed_are_those_that_are_counted() -> None:
    """RFC 8621 §2: also where an Email is in several mailboxes, and the Trash changes."""
    for seed in range(30):
        history = History(seed)
        history.run(12)
        data = history.data
        afresh = Counter(data.index)
        for id_, number in data.numbers.items():
            assert data.shown_counts[id_] == afresh.counts(number, data.trash)


@pytest.mark.checklist("D08")
@settings(deadline=None, max_examples=60)
@given(seed=seeds)
def test_a_record_does_the_same_on_every_node(seed: int) -> None:
    """Also on one that has begun to read what it will never commit."""
    history = History(seed)
    other = account()
    for at in range(8):
        for octets in history.records[at:][:1]:
            other.index.keywords.parse(b"never-committed")
            other.discard_uncommitted()
            commit.apply(other, record.load(octets))
        history.run(1)
    for octets in history.records[8:]:
        commit.apply(other, record.load(octets))
    rest = len(other.journal.entries)
    for octets in history.records[rest:]:
        commit.apply(other, record.load(octets))
    assert told(other) == told(history.data)
    for one, two in zip(history.data.journal.entries, other.journal.entries, strict=True):
        assert (one.digest, one.mailboxes, one.delivered) == (
            two.digest,
            two.mailboxes,
            two.delivered,
        )
        for column in ("rows", "was", "now", "mailbox"):
            assert np.array_equal(getattr(one.emails, column), getattr(two.emails, column))


def apply(known: set[str], found: Changes) -> set[str]:
    assert not known & set(found.created)
    assert set(found.updated) | set(found.destroyed) <= known
    return (known | set(found.created)) - set(found.destroyed)


@settings(deadline=None, max_examples=60)
@given(seed=seeds)
def test_new_mail_is_what_was_never_there_before(seed: int) -> None:
    """RFC 8621 §1.5; what moves may be nowhere for a moment, and what was deleted may come back."""
    history = History(seed)
    moments: list[tuple[str, set[str], set[str]]] = []
    for _ in range(12):
        history.run(1)
        messages = [m for box in history.world.values() for m in box.messages.values()]
        there = {email_id(identity) for identity, _ in messages}
        delivery = history.data.journal.state("EmailDelivery")
        moments.append((delivery, set(shown(history.world)), there))
    now = moments[-1][1]
    for at, (state, _, _) in enumerate(moments):
        found = changes.delivered(history.data, state)
        assert len(found) == len(set(found))
        assert set(found) <= now - set().union(*(seen for _, seen, _ in moments[: at + 1]))
        for later in range(at + 1, len(moments)):
            came = moments[later][1] - set().union(*(all_ for _, _, all_ in moments[:later]))
            assert came & now <= set(found)


@pytest.mark.checklist("E02", "E03", "E04", "E06", "P01")
@settings(deadline=None, max_examples=60)
@given(seed=seeds, limit=st.sampled_from([1, 2, 3, 100]))
def test_changes_lead_from_any_state_to_what_is_there_now(seed: int, limit: int) -> None:
    """Whatever the limit, there is a state in between."""
    history = History(seed)
    history.run(10)
    now = shown(history.world)
    for state, then in history.seen.items():
        known, touched, pages = set(then), set[str](), Tally[str]()
        found = changes.emails(history.data, state, limit)
        while True:
            told_of = [*found.created, *found.updated, *found.destroyed]
            assert len(told_of) == len(set(told_of)) <= limit
            known = apply(known, found)
            touched |= set(told_of)
            pages.update(found.destroyed)
            if not found.has_more:
                break
            found = changes.emails(history.data, found.new_state, limit)
        assert known == set(now)
        assert found.new_state == history.data.email_state()
        for id_ in known - touched:
            assert now[id_] == then[id_], "nothing has changed that was not told"


@pytest.mark.checklist("M04")
@settings(deadline=None, max_examples=40)
@given(seed=seeds, limit=st.sampled_from([1, 2, 100]))
def test_threads_change_exactly_when_emails_join_and_leave(seed: int, limit: int) -> None:
    history = History(seed)
    threads: dict[str, dict[str, list[str]]] = {}

    def members() -> dict[str, list[str]]:
        data, found = history.data, dict[str, list[str]]()
        for row in np.flatnonzero(data.emails.visible()).tolist():
            key = str(int(data.emails.thread_keys[data.emails.thread[row]]))
            found.setdefault(key, []).append(data.emails.id(row))
        return found

    for _ in range(8):
        threads.setdefault(history.data.thread_state(), members())
        assert threads[history.data.thread_state()] == members()
        history.run(1)
    now, data = members(), history.data
    for state, then in threads.items():
        known, touched, more = set(then), set[str](), True
        while more:
            found = changes.threads(data, state, limit)
            ids = {row: str(int(key)) for row, key in enumerate(data.emails.thread_keys)}
            named = {
                id_: ids[data.emails.thread_row(id_)]
                for id_ in (*found.created, *found.updated, *found.destroyed)
            }
            found = copy.copy(found)
            found.created = [named[id_] for id_ in found.created]
            found.updated = [named[id_] for id_ in found.updated]
            found.destroyed = [named[id_] for id_ in found.destroyed]
            known = apply(known, found)
            touched |= set(named.values())
            state, more = found.new_state, found.has_more
        assert known == set(now)
        assert {t for t in known if t not in touched} <= {t for t in now if now[t] == then.get(t)}


@pytest.mark.checklist("L11")
@settings(deadline=None, max_examples=40)
@given(seed=seeds, limit=st.sampled_from([1, 2, 100]))
def test_mailboxes_are_told_with_whether_only_counts_changed(seed: int, limit: int) -> None:
    history = History(seed)
    then: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for _ in range(8):
        data = history.data
        listed = {id_: (m.name, m.role) for id_, m in data.mailboxes.items()}
        seen = then.setdefault(data.mailbox_state(), (listed, dict(data.shown_counts)))
        assert seen == (listed, data.shown_counts)
        history.run(1)
    listed = {id_: (m.name, m.role) for id_, m in history.data.mailboxes.items()}
    for state, (names, counts) in then.items():
        known, shown_names, shown_counts, more = set(names), dict(names), dict(counts), True
        while more:
            found, only_counts = changes.mailboxes(history.data, state, limit)
            known = apply(known, found)
            for id_ in (*found.created, *found.updated):
                shown_counts[id_] = history.data.shown_counts.get(id_)
                if not only_counts:
                    shown_names[id_] = listed.get(id_)
            state, more = found.new_state, found.has_more
        assert {id_: shown_names[id_] for id_ in known} == listed
        assert {id_: shown_counts[id_] for id_ in known} == history.data.shown_counts


@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_an_account_comes_back_with_its_journal(seed: int) -> None:
    history = History(seed)
    history.run(6)
    data = history.data
    journal = archive.load(archive.dump(archive.capture(data.journal)))
    again = snapshot.load(snapshot.dump(snapshot.capture(data)), journal)
    assert told(again) == told(data)
    for state in history.seen:
        assert changes.emails(again, state, 3) == changes.emails(data, state, 3)
        assert changes.mailboxes(again, data.mailbox_state(), 3)[0].updated == []
    change(history.world, history.rng)
    twin = copy.deepcopy(history.world)
    follow(data, history.world)
    made = follow(again, twin)
    assert made is None or told(again)["mail"] == told(data)["mail"]
    assert again.journal.head.sequence == data.journal.head.sequence


@pytest.mark.checklist("E07", "E09", "E10")
def test_states_are_known_for_thirty_days_after_they_were_replaced() -> None:
    history = History(1)
    history.run(8)
    journal = history.data.journal
    states = [
        journal.state_at(type(journal.position("Email", journal.state("Email")))(n))
        for n in range(9)
    ]
    old, last = journal.entries[3], journal.entries[-1]
    assert not journal.truncate(old.time)
    journal.truncate(last.time + 31 * 24 * 3600)
    assert journal.position("Email", history.data.email_state())
    for state in states[:4]:
        with pytest.raises(UnknownState):
            journal.position("Email", state)


@pytest.mark.checklist("E07")
@pytest.mark.parametrize("state", ["", "x", "epoch.1", "epoch.1.2.3.4", "epoch.999999.0", "a.0.0"])
def test_what_is_no_state_of_this_log_is_unknown(state: str) -> None:
    history = History(2)
    for kind in KINDS:
        with pytest.raises(UnknownState):
            history.data.journal.position(kind, state)


def test_a_state_of_another_lineage_with_the_same_number_is_unknown() -> None:
    """Design §6: two logs that parted after an entry."""
    one, two = History(3), History(3)
    one.world["B1"].append(20)
    two.world["B1"].append(21)
    one.commit()
    two.commit()
    assert one.data.journal.head.sequence == two.data.journal.head.sequence
    with pytest.raises(UnknownState):
        two.data.journal.position("Email", one.data.email_state())


@pytest.mark.checklist("E07", "E09")
def test_a_state_inside_an_entry_is_unknown_where_another_entry_is_in_its_place() -> None:
    """Design §6: a store is put back between two pages, and other things are committed then."""
    one, two = History(3), History(3)
    before = one.data.email_state(), one.data.thread_state(), one.data.mailbox_state()
    for identity in range(20, 26):
        one.world["B1"].append(identity)
        two.world["B1"].append(identity)
    one.world["B2"].append(30)
    two.world["B3"].append(31)
    one.commit()
    two.commit()
    emails = changes.emails(one.data, before[0], 3)
    threads = changes.threads(one.data, before[1], 2)
    mailboxes, _ = changes.mailboxes(one.data, before[2], 1)
    for kind, page in (("Email", emails), ("Thread", threads), ("Mailbox", mailboxes)):
        assert page.has_more
        assert one.data.journal.position(kind, page.new_state)
        with pytest.raises(UnknownState):
            two.data.journal.position(kind, page.new_state)


def test_octets_of_anything_else_are_no_log_and_no_record() -> None:
    for octets in (b"", b"\xc0", b"\x80", b"\x91\x01", Journal("x").epoch.encode()):
        with pytest.raises(archive.NotAnArchive):
            archive.load(octets)
        with pytest.raises(record.NotARecord):
            record.load(octets)
