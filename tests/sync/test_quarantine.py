"""RFC 9051 §2.3.1.1, RFC 8474 §4: whose UIDVALIDITY changes too often is left alone."""

from __future__ import annotations

from gateway.sync.quarantine import MOST, Quarantine


def test_a_mailbox_whose_uidvalidity_changes_time_and_again_is_left_alone() -> None:
    quarantine = Quarantine(lambda: 0.0)
    for uidvalidity in range(1, MOST + 1):
        quarantine.saw(b"A", uidvalidity, "id")
        assert not quarantine.holds(b"A")
    quarantine.saw(b"A", MOST + 1, "id")
    assert quarantine.holds(b"A")
    assert not quarantine.holds(b"B")


def test_mailboxes_that_are_given_the_same_name_in_turn_are_not() -> None:
    quarantine = Quarantine(lambda: 0.0)
    for uidvalidity in range(1, 3 * MOST):
        quarantine.saw(b"A", uidvalidity, f"id{uidvalidity % 2}")
        assert not quarantine.holds(b"A")


def test_another_mailbox_of_that_name_is_looked_at_again() -> None:
    quarantine = Quarantine(lambda: 0.0)
    for uidvalidity in range(1, MOST + 2):
        quarantine.saw(b"A", uidvalidity, "id")
    assert quarantine.holds(b"A")
    quarantine.saw(b"A", 99, "other")
    assert not quarantine.holds(b"A")
