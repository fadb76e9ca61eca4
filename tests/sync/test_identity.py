"""RFC 8474 §5.1: Email ids where the server names messages, and where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.wire.fetchshape import Columns
from gateway.sync import ids, ingest
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier, is_named, of_fingerprints, of_items
from gateway.sync.journal import Journal
from tests.sync import placing

# A message is (its text, its size).
messages = st.tuples(st.sampled_from("ab"), st.integers(1, 2))


def data(tier: Tier = Tier.FINGERPRINT) -> AccountData:
    return AccountData(tier, Journal("epoch"))


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
    placed = ingest.read(account, columns)
    account.index.place(number, placed)
    return [account.emails.id(row) for row in placed.rows.tolist()]


def ids_in(account: AccountData, number: int) -> list[str]:
    return sorted(account.emails.id(row) for row in placing.rows_in(account.index, number))


@pytest.mark.checklist("A09", "N02")
@given(st.lists(messages, max_size=12), st.integers(1, 5))
def test_the_same_ids_come_out_however_messages_are_read(
    which: list[tuple[str, int]], slices: int
) -> None:
    account, again = data(), data()
    known: list[str] = []
    for start in range(0, len(which), slices):
        known += arrive(account, 0, start + 1, which[start : start + slices])
    assert len(set(known)) == len(set(which))
    for start in reversed(range(0, len(which), slices)):
        arrive(again, 0, start + 1, which[start : start + slices])
    assert ids_in(account, 0) == ids_in(again, 0) == sorted(set(known))
    assert arrive(account, 0, 1, which) == known, "told once more"


@pytest.mark.checklist("N02")
@given(st.lists(messages, max_size=8), st.data())
def test_ids_depend_on_nothing_that_is_elsewhere_or_gone(
    which: list[tuple[str, int]], draw: st.DataObject
) -> None:
    """With what was known or without it, in another mailbox or under other UIDs."""
    account = data()
    before = arrive(account, 0, 1, which)
    left = draw.draw(st.lists(st.sampled_from(range(len(which))), unique=True)) if which else []
    expected = [before[n] for n in left]
    assert arrive(account, 1, 7, [which[n] for n in left]) == expected
    account.index.expunge(0, ~np.isin(account.index.mailbox(0).uids, [n + 1 for n in left]))
    assert ids_in(account, 0) == ids_in(account, 1) == sorted(set(expected))
    assert arrive(data(), 3, 1, [which[n] for n in left]) == expected


@pytest.mark.checklist("A09")
def test_what_differs_in_header_size_or_date_differs_in_id() -> None:
    account = data()
    assert len(set(arrive(account, 0, 1, [("a", 1), ("a", 2), ("b", 1)]))) == 3


@pytest.mark.checklist("A09")
def test_messages_that_have_no_name_are_told_apart_by_their_text() -> None:
    """RFC 5322 §3.6.4: a Message-ID is optional."""
    header = b"Subject: note\r\n\r\n"
    assert not is_named(header)
    assert not is_named(b"Message-ID: \r\nSubject: note\r\n\r\n")
    assert is_named(b"Subject: note\r\nMessage-ID: <1@x>\r\n\r\n")
    one, other = (of_fingerprints([header], [9], [7], [text]).digests for text in (b"a", b"b"))
    assert one != other


@pytest.mark.checklist("A09")
def test_a_digest_gives_the_emailid_that_a_later_cyrus_has() -> None:
    """RFC 8474 §5.1: ids outlive the upgrade of the server, with or without a store."""
    sha1 = b"d43c83a8785689aebd7b4719d920e3b997c40eed"
    known = of_items(Tier.DIGEST_SHA1, [sha1])
    assert known == of_items(Tier.EMAILID, [b"Md43c83a8785689aebd7b4719"])
    assert known.given == ["Md43c83a8785689aebd7b4719"]


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
    rows = ingest.read(account, columns).rows
    assert len(set(account.emails.thread[rows].tolist())) == 2
