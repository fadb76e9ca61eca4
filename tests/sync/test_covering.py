"""RFC 9051 §6.4.4, §9: which mailboxes are searched, and the sets of UIDs that are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire.criteria import Criteria, text
from gateway.imap.wire.sequences import parse_numbers, parse_ranges
from gateway.sync.covering import cover, newest_set
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier
from gateway.sync.index import Arrivals
from gateway.sync.journal import Journal
from gateway.sync.mailboxes import Mailbox
from gateway.sync.verdicts import Remembered, Verdicts
from tests.sync import placing

placements = st.lists(st.lists(st.integers(0, 30), max_size=20).map(tuple), min_size=1, max_size=5)


def account(mailboxes: list[tuple[int, ...]], deleted: set[int]) -> AccountData:
    """Mailboxes with Emails by number, at UIDs 10, 20, ...; some UIDs are \\\\Deleted."""
    data = AccountData(Tier.X_GUID, Journal("epoch"))
    for number, emails in enumerate(mailboxes):
        uids = np.arange(1, len(emails) + 1, dtype=np.uint32) * 10
        flags = [b"\\\\Deleted" if int(uid) in deleted else b"" for uid in uids]
        zeros = np.zeros(len(emails), np.int64)
        digests = [b"%08d0000" % email for email in emails]
        bits = data.index.keywords.parse_column(flags)
        placing.add(
            data.index,
            number,
            Arrivals(uids, digests, None, bits, zeros.astype(np.uint64), zeros, zeros),
        )
        data.numbers[str(number)] = number
        data.mailboxes[str(number)] = Mailbox.__new__(Mailbox)
    return data


@given(placements, st.sets(st.sampled_from(range(10, 210, 10))), st.sets(st.integers(0, 30)))
def test_each_email_is_covered_once(
    mailboxes: list[tuple[int, ...]], deleted: set[int], wanted: set[int]
) -> None:
    """Whatever is wanted and can be seen is looked at in exactly one place."""
    data = account(mailboxes, deleted)
    size = data.emails.size
    rows = np.zeros(size, np.bool_)
    chosen = [row for row in range(size) if row in wanted]
    rows[chosen] = True
    found: list[int] = []
    for number, uids in cover(data, rows):
        columns = data.index.mailbox(number)
        assert len(uids)
        assert (np.diff(uids.astype(np.int64)) > 0).all()
        found += columns.rows[columns.positions(uids)].tolist()
    assert sorted(found) == np.flatnonzero(rows & data.emails.visible()).tolist()


def test_the_mailbox_with_all_mail_is_enough() -> None:
    """On Gmail, every Email is in All Mail."""
    data = account([(1, 2), tuple(range(20)), (3, 4, 5)], set())
    ((number, uids),) = cover(data, np.ones(data.emails.size, np.bool_))
    assert number == 1
    assert len(uids) == 20


def test_emails_that_came_since_are_left_out() -> None:
    data = account([(1, 2, 3)], set())
    ((_, uids),) = cover(data, np.array([True]))
    assert uids.tolist() == [10]


@given(st.sets(st.integers(1, 300), min_size=1), st.data(), st.integers(1, 60))
def test_sets_hold_the_newest_that_fit(every: set[int], data: st.DataObject, limit: int) -> None:
    """RFC 9051 §9: ranges may reach over UIDs that are not there, and over nothing else."""
    wanted = sorted(data.draw(st.sets(st.sampled_from(sorted(every)), min_size=1)))
    left = np.array(wanted, np.uint32)
    there = np.array(sorted(every), np.uint32)
    asked: set[int] = set()
    while len(left):
        packed, count = newest_set(there, left, limit)
        assert len(packed) <= limit or b"," not in packed
        assert 1 <= count <= len(left)
        assert set(parse_numbers(packed)) & every == set(left[-count:].tolist())
        ranges = parse_ranges(packed)
        assert ranges == sorted(ranges)
        asked |= set(left[-count:].tolist())
        left = left[:-count]
    assert asked == set(wanted)


# --- what is remembered -------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)))))
async def test_verdicts_are_kept_for_rows(added: list[tuple[set[int], set[int]]]) -> None:
    """RFC 8621 §4.1.1: what was found of an Email stays true."""
    found, known, matching = Verdicts(), set[int](), set[int]()
    for rows, some in added:
        found.add(np.array(sorted(rows), np.int32), np.array(sorted(rows & some), np.int32))
        known |= rows
        matching |= rows & some
    for size in (0, 7, 50, 300):
        assert set(np.flatnonzero(found.known(size)).tolist()) == {r for r in known if r < size}
        assert set(np.flatnonzero(found.matching(size)).tolist()) == {
            r for r in matching if r < size
        }


def _sought(word: object) -> Criteria:
    return text("BODY", str(word))


async def test_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    """What was not asked for in a long time is searched for again."""
    remembered = Remembered(20_000)
    rows = np.arange(8 * 2000, dtype=np.int32)
    for word in range(100):
        with remembered.verdicts(_sought(0)) as first:
            pass
        with remembered.verdicts(_sought(word)) as found:
            found.add(rows, rows[::2])
        assert remembered.nbytes <= 20_000
    assert first.known(3).all()
    with remembered.verdicts(_sought(99)) as found:
        assert found.known(3).all()
    with remembered.verdicts(_sought(1)) as found:
        assert not found.known(3).any()


async def test_what_is_searched_for_now_is_not_forgotten() -> None:
    remembered = Remembered(0)
    with remembered.verdicts(_sought(1)) as found:
        async with found.lock:
            with remembered.verdicts(_sought(2)):
                pass
            with remembered.verdicts(_sought(1)) as again:
                assert again is found
    assert remembered.nbytes == 0


@pytest.mark.parametrize("count", [1, 1000])
async def test_memory_counts_the_words_too(count: int) -> None:
    remembered = Remembered()
    with remembered.verdicts(_sought("x" * count)):
        assert remembered.nbytes > count
