"""Design §7: the index goes to the store and comes back, or counts as never saved."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.commands.status import Status
from gateway.sync import ids, snapshot
from gateway.sync.counts import Counter
from gateway.sync.data import AccountData, Committed
from gateway.sync.identity import Tier
from gateway.sync.index import Arrivals
from gateway.sync.journal import Journal
from gateway.sync.mailboxes import Mailbox
from gateway.sync.snapshot import NotASnapshot
from tests.sync import placing

MAILBOXES = ("B0", "B1", "B2")
FLAGS = ("\\Seen", "\\Draft", "\\Deleted", *(f"label{n}" for n in range(140)))


def mailbox(id_: str) -> Mailbox:
    return Mailbox(id_, b"x", (id_,), None, None, True, None, Status(messages=0))


def list_mailboxes(data: AccountData, *ids_: str) -> None:
    """Put mailboxes into an account."""
    for number, id_ in enumerate(ids_):
        data.mailboxes[id_] = mailbox(id_)
        data.place_mailbox(data.mailboxes[id_], number)


def example(seed: int, tier: Tier = Tier.X_GUID) -> AccountData:
    """An account with copies, deleted placements, destroyed Emails and many keywords."""
    rng = random.Random(seed)
    data = AccountData(tier, Journal("first"))
    list_mailboxes(data, *MAILBOXES)
    for number in range(len(MAILBOXES)):
        columns = data.index.mailbox(number)
        columns.uidvalidity = rng.randrange(2**32)
        columns.uidnext = rng.randrange(2**32)
        columns.highestmodseq = rng.choice([None, rng.randrange(2**63)])
        columns.complete = True
        for _ in range(rng.randrange(3)):
            add(data, number, [rng.randrange(12) for _ in range(rng.randrange(8))], rng)
        gone = np.array([rng.random() < 0.2 for _ in columns.uids], np.bool_)
        data.index.expunge(number, gone)
    emails = data.emails
    emails.attachment[: emails.size] = [rng.choice([-1, 0, 1]) for _ in range(emails.size)]
    data.committed = Committed.of(data.index)
    data.shown_counts = data.all_counts()
    data.numbering = f"numbering {seed}"
    return data


def add(data: AccountData, number: int, who: list[int], rng: random.Random) -> None:
    uids = data.index.mailbox(number).uids
    first = int(uids[-1]) + 1 if len(uids) else 1
    given_ids = [f"M{n:x}" for n in who]
    flags = [" ".join(rng.sample(FLAGS, rng.randrange(4))).encode() for _ in who]
    arrivals = Arrivals(
        uids=np.arange(first, first + len(who), dtype=np.uint32),
        digests=[ids.email_digest(g.encode()) for g in given_ids],
        given=given_ids if data.tier is Tier.EMAILID else None,
        bits=data.index.keywords.parse_column(flags),
        modseqs=np.array([rng.randrange(2**63) for _ in who], np.uint64),
        received=np.array([n * 1000 - 5000 for n in who], np.int64),
        octets=np.array([n * n for n in who], np.int64),
    )
    _, made = placing.add(data.index, number, arrivals)
    start = data.emails.size - len(made)
    keys = np.array([who[n] % 5 + 2**63 for n in made.tolist()], np.uint64)
    data.emails.thread[start : data.emails.size] = data.emails.threads(keys)


def told(data: AccountData) -> dict[str, Any]:
    """All that an account says, in plain values."""
    emails, keywords = data.emails, data.index.keywords
    counter = Counter(data.index)
    return {
        "tier": data.tier,
        "emails": {
            emails.id(row): (
                int(emails.received[row]),
                int(emails.octets[row]),
                int(emails.attachment[row]),
                int(emails.thread_keys[emails.thread[row]]),
                sorted(keywords.keywords(keywords.unpack(emails.bits[row]))),
                sorted(emails.placements(row)),
            )
            for row in np.flatnonzero(emails.visible()).tolist()
        },
        "mailboxes": {
            id_: (
                columns.uidvalidity,
                columns.uidnext,
                columns.highestmodseq,
                columns.complete,
                columns.uids.tolist(),
                columns.modseqs.tolist(),
                [emails.id(row) for row in columns.rows.tolist()],
                [sorted(keywords.keywords(keywords.unpack(bits))) for bits in columns.bits],
                columns.shown().tolist(),
                counter.counts(number, 2),
            )
            for id_, number in data.numbers.items()
            for columns in [data.index.mailbox(number)]
        },
    }


def dumped(data: AccountData) -> bytes:
    return snapshot.dump(snapshot.capture(data))


@pytest.mark.checklist("A09", "N02")
@pytest.mark.parametrize("tier", [Tier.X_GUID, Tier.EMAILID])
@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_an_account_comes_back_as_it_was(tier: Tier, seed: int) -> None:
    data = example(seed, tier)
    again = snapshot.load(dumped(data), Journal("second"))
    assert told(again) == told(data)
    assert again.journal.epoch == "second"
    assert dumped(again) == dumped(data)


def test_an_account_without_a_message_comes_back() -> None:
    for tier in Tier:
        data = AccountData(tier, Journal("first"))
        list_mailboxes(data, "B0")
        data.index.mailbox(0).complete = True
        assert told(snapshot.load(dumped(data), Journal("second"))) == told(data)


@pytest.mark.checklist("D08")
def test_a_state_of_one_copy_of_the_index_is_none_of_another() -> None:
    """RFC 8620 §5.1: what changed between two states can not be told across a restart."""
    data = example(3)
    again = snapshot.load(dumped(data), Journal("second"))
    assert again.email_state() != data.email_state()
    assert again.thread_state() != data.thread_state()


def test_what_is_not_committed_is_left_out() -> None:
    """Rows and keywords of messages that are being read."""
    data = example(1)
    before = dumped(data)
    add(data, 0, [100, 101], random.Random(1))
    data.index.expunge(0, data.index.mailbox(0).uids > 0)
    data.index.keywords.parse(b"another")
    again = snapshot.load(dumped(data), Journal("second"))
    assert again.committed == data.committed
    assert snapshot.load(before, Journal("second")).committed == data.committed


def test_what_is_captured_does_not_change_with_the_account() -> None:
    """Packing happens in a thread, while messages come and go."""
    data = example(4)
    before, captured = dumped(data), snapshot.capture(data)
    data.index.drop(0)
    add(data, 1, [7, 8, 9], random.Random(0))
    data.emails.attachment[:] = 0
    assert snapshot.dump(captured) == before


@pytest.mark.parametrize("tier", [Tier.X_GUID, Tier.EMAILID])
def test_no_part_of_a_snapshot_is_taken_for_one(tier: Tier) -> None:
    whole = dumped(example(2, tier))
    for length in range(0, len(whole), 3):
        with pytest.raises(NotASnapshot):
            snapshot.load(whole[:length], Journal("second"))
    with pytest.raises(NotASnapshot):
        snapshot.load(whole + b"\0", Journal("second"))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_octets_of_anything_else_are_no_snapshot(octets: bytes) -> None:
    with pytest.raises(NotASnapshot):
        snapshot.load(octets, Journal("second"))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_snapshot_is_loaded_or_refused(draw: st.DataObject) -> None:
    """Never any other error, whatever is in the place of what."""
    document = msgpack.unpackb(dumped(example(2, draw.draw(st.sampled_from(Tier)))))
    values = st.one_of(
        st.none(),
        st.integers(-1, 3),
        st.sampled_from([2**16 - 1, 2**16, 2**40, -(2**40)]),
        st.text(max_size=2),
        st.binary(max_size=17),
        st.lists(st.none() | st.integers(0, 2), max_size=2),
        st.dictionaries(st.text(max_size=1), st.none(), max_size=1),
        st.sampled_from([document["thread"], document["octets"]]),
    )
    inner = draw.draw(st.sampled_from(["", "mailboxes", "figures"]))
    if inner and document[inner]:
        fields = draw.draw(st.sampled_from(document[inner]))
        fields[draw.draw(st.integers(0, len(fields) - 1))] = draw.draw(values)
    else:
        document[draw.draw(st.sampled_from(sorted(document)))] = draw.draw(values)
    try:
        data = snapshot.load(msgpack.packb(document), Journal("second"))
    except NotASnapshot:
        return
    told(data)


def test_another_version_is_no_snapshot() -> None:
    document = msgpack.unpackb(dumped(example(2)))
    document["version"] = snapshot.VERSION + 1
    with pytest.raises(NotASnapshot, match="version"):
        snapshot.load(msgpack.packb(document), Journal("second"))
