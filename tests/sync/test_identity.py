"""RFC 8474 §5.1: Email ids where the server names messages, and where it does not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire.fetchshape import Columns
from gateway.sync import ids, ingest
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier, of_items

# A message is (its text, its size); equal ones are told apart by their number only.
messages = st.tuples(st.sampled_from("ab"), st.integers(1, 2))


def data(tier: Tier = Tier.FINGERPRINT) -> AccountData:
    return AccountData(tier, "epoch")


def header(text: str) -> bytes:
    return f"Message-ID: <{text}@x>\r\nSubject: {text}\r\nFrom: a@x\r\n\r\n".encode()


def arrive(
    account: AccountData, number: int, first_uid: int, which: list[tuple[str, int]]
) -> list[str]:
    """Put messages into a mailbox; returns the ids they got."""
    uids = range(first_uid, first_uid + len(which))
    columns = Columns(
        uid=[b"%d" % uid for uid in uids],
        flags=[b""] * len(which),
        internaldate=[b"01-Jan-2020 00:00:00 +0000"] * len(which),
        size=[b"%d" % size for _, size in which],
        header=[header(text) for text, _ in which],
    )
    rows = ingest.add(account.index, account.headers, number, account.tier, columns)
    return [account.emails.id(row) for row in rows.tolist()]


def ids_in(account: AccountData, number: int) -> list[str]:
    return sorted(account.emails.id(row) for row in account.index.rows_in(number).tolist())


@pytest.mark.checklist("A09", "N02")
@given(st.lists(messages, max_size=12), st.integers(1, 5))
def test_equal_messages_of_a_mailbox_are_told_apart(
    which: list[tuple[str, int]], slices: int
) -> None:
    """The same ids come out however the messages are read, as often as they are."""
    account, again = data(), data()
    known: list[str] = []
    for start in range(0, len(which), slices):
        known += arrive(account, 0, start + 1, which[start : start + slices])
    assert len(set(known)) == len(which)
    for start in reversed(range(0, len(which), slices)):
        arrive(again, 0, start + 1, which[start : start + slices])
    assert ids_in(account, 0) == ids_in(again, 0) == sorted(known)
    assert arrive(account, 0, 1, which) == known, "told once more"


@pytest.mark.checklist("N02")
@given(st.lists(messages, max_size=8), st.data())
def test_ids_follow_messages_into_another_mailbox(
    which: list[tuple[str, int]], draw: st.DataObject
) -> None:
    """Of messages that are equal it does not matter which is which."""
    account = data()
    before = arrive(account, 0, 1, which)
    moved = draw.draw(st.lists(st.sampled_from(range(len(which))), unique=True)) if which else []
    arrive(account, 1, 1, [which[n] for n in moved])
    account.index.expunge(0, np.isin(account.index.mailbox(0).uids, [n + 1 for n in moved]))
    kinds = dict(zip(before, which, strict=True))
    arrived = Counter(kinds[id_] for id_ in ids_in(account, 1))
    assert arrived == Counter(which[n] for n in moved)
    assert set(ids_in(account, 0)) | set(ids_in(account, 1)) <= set(before)


@pytest.mark.checklist("A09")
def test_what_differs_in_header_size_or_date_differs_in_id() -> None:
    account = data()
    assert len(set(arrive(account, 0, 1, [("a", 1), ("a", 2), ("b", 1)]))) == 3


@pytest.mark.parametrize("tier", [Tier.X_GUID, Tier.X_GM_MSGID])
def test_identifiers_with_characters_no_id_may_have_are_hashed(tier: Tier) -> None:
    """RFC 8620 §1.2: a Maildir's X-GUID is a file name."""
    known = of_items(tier, [b"1795430892.M518397P12502.vm,S=33,W=37", b"17"])
    assert known.given is None
    assert len(set(known.digests)) == 2
    assert all(ids.is_id(ids.email_id(digest)) for digest in known.digests)


@pytest.mark.checklist("A09")
def test_a_message_without_message_id_is_a_thread_of_its_own() -> None:
    """RFC 8621 §3."""
    account = data(Tier.X_GUID)
    columns = Columns(
        uid=[b"1", b"2"],
        flags=[b"", b""],
        internaldate=[b"01-Jan-2020 00:00:00 +0000"] * 2,
        size=[b"9", b"9"],
        identity=[b"one", b"two"],
        header=[b"Subject: same\r\n\r\n"] * 2,
    )
    rows = ingest.add(account.index, account.headers, 0, Tier.X_GUID, columns)
    assert len(set(account.emails.thread[rows].tolist())) == 2
