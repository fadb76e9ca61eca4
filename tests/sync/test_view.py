"""RFC 8620 §5.6: what the change log makes of the past is what the account was."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync.data import AccountData
from gateway.sync.journal import Position
from gateway.sync.view import Mutable, View
from tests.mail.history import MAILBOXES, History

NUMBERS = range(len(MAILBOXES))


@dataclass(frozen=True)
class Seen:
    """All Emails by row at some position: the mailboxes of each, its keywords and its Thread."""

    at: Position
    emails: dict[int, tuple[set[int], int, int]]


def look(data: AccountData) -> Seen:
    """The account as it is, row by row."""
    emails, keywords = data.emails, data.index.keywords
    found = {}
    for row in np.flatnonzero(emails.visible()).tolist():
        mailboxes = {number for number, _ in emails.placements(row)}
        found[row] = mailboxes, keywords.unpack(emails.bits[row]), int(emails.thread[row])
    return Seen(data.journal.position("Email", data.email_state()), found)


def check(data: AccountData, view: View, seen: Seen) -> None:
    """A view is what was seen."""
    rows = list(seen.emails)
    assert np.flatnonzero(view.visible()).tolist() == sorted(rows)
    bits = [data.index.keywords.unpack(view.bits[row]) for row in rows]
    assert bits == [bits for _, bits, _ in seen.emails.values()]
    for number in NUMBERS:
        inside = {row for row, (mailboxes, _, _) in seen.emails.items() if number in mailboxes}
        assert set(np.flatnonzero(view.in_mailbox(number)).tolist()) == inside
    for numbers in ([], [0], [1, 2], [0, 3, 999], list(NUMBERS)):
        other = {row for row, (boxes, _, _) in seen.emails.items() if boxes - set(numbers)}
        assert set(np.flatnonzero(view.in_other_mailbox(numbers)).tolist()) == other


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.integers(0, 40))
@pytest.mark.checklist("I03")
def test_any_moment_of_the_past_is_seen_as_it_was(
    seed: int, many_copies: bool, keywords_at: int
) -> None:
    history = History(Random(seed))
    data, moments = history.data, list[Seen]()
    for number in range(25):
        moments.append(look(data))
        history.step()
        if many_copies and number % 5 == 0:
            history.copy()
        if number == keywords_at:
            history.more_keywords()
    now = look(data)
    check(data, View.now(data), now)
    for seen in moments:
        view = View.past(data, data.journal.emails_since(seen.at))
        check(data, view, seen)
        check_changed(view, seen, now)


def check_changed(view: View, then: Seen, now: Seen) -> None:
    """What may be another Email, or another of an Email, is known as such."""
    old, new = then.emails, now.emails
    both = old.keys() & new.keys()
    same = {row for row in both if old[row] == new[row]}
    assert old.keys() | new.keys() <= set(np.flatnonzero(view.touched()).tolist()) | same
    moved = {row for row in both if old[row][0] != new[row][0]}
    reflagged = {row for row in both if old[row][1] != new[row][1]}
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    threads = {new[row][2] for row in reflagged | come} | {old[row][2] for row in gone}
    by_thread = {row for row in both if new[row][2] in threads}
    for what, rows in (
        (Mutable.NOTHING, set[int]()),
        (Mutable.MAILBOXES, moved),
        (Mutable.KEYWORDS, reflagged),
        (Mutable.THREAD_KEYWORDS, by_thread),
        (Mutable.MAILBOXES | Mutable.KEYWORDS, moved | reflagged),
    ):
        assert set(np.flatnonzero(view.changed(what)).tolist()) == rows
