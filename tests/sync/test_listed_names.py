"""RFC 9051 §6.3.9: a LIST of the past is told from one that shows what was done."""

from __future__ import annotations

import time

from gateway.imap.commands.list import Listed
from gateway.imap.commands.status import Status
from gateway.sync.listed_names import ListedNames, has_lost


def listed(*names: str, unknown: bool = False) -> list[Listed]:
    """Mailboxes that can be selected; unknown: of which STATUS tells nothing."""
    status = None if unknown else Status(messages=0, uidnext=1, uidvalidity=1)
    return [Listed(name, name.encode(), "/", frozenset(), status) for name in names]


def test_nothing_is_expected_of_a_list_when_nothing_was_done() -> None:
    assert ListedNames().are_shown([])


def test_a_mailbox_that_was_created_has_to_be_listed() -> None:
    names = ListedNames()
    names.made(b"new")
    assert not names.are_shown(listed("INBOX"))
    assert not names.are_shown([*listed("INBOX"), *listed("new", unknown=True)])
    assert names.are_shown(listed("INBOX", "new"))


def test_a_mailbox_that_was_deleted_must_not_be_listed_unless_as_a_level() -> None:
    names = ListedNames()
    names.gone(b"old")
    assert not names.are_shown(listed("INBOX", "old"))
    assert names.are_shown(listed("INBOX"))
    assert names.are_shown([*listed("old/below"), *listed("old", unknown=True)])


def test_a_mailbox_that_was_renamed_is_listed_under_its_new_name_only() -> None:
    names = ListedNames()
    names.made(b"old/below")
    names.renamed(b"old", b"new")
    assert not names.are_shown(listed("old"))
    assert not names.are_shown(listed("old", "new"))
    assert names.are_shown(listed("new", "new/below"))


def test_a_name_may_come_back() -> None:
    names = ListedNames()
    names.renamed(b"one", b"two")
    names.renamed(b"two", b"one")
    assert names.are_shown(listed("one"))
    assert not names.are_shown(listed("two"))


def test_servers_may_spell_a_new_name_in_another_way() -> None:
    names = ListedNames()
    names.made(b"inbox/New ")
    assert names.are_shown(listed("INBOX/New"))


def test_what_others_have_undone_is_not_waited_for_again() -> None:
    names = ListedNames()
    names.made(b"new")
    names.forget()
    assert names.are_shown([])


def test_a_mailbox_that_can_not_be_asked_any_more_is_missed() -> None:
    broken = listed("box", unknown=True)
    assert has_lost(broken, {b"box": True})
    assert not has_lost(broken, {b"box": False})
    assert not has_lost(broken, {})
    assert not has_lost(listed("box"), {b"box": True})


def test_a_new_session_is_asked_the_longest_for_what_was_done() -> None:
    names = ListedNames()
    old = time.monotonic()
    assert not names.is_older(old)
    names.renamed(b"one", b"two")
    assert names.is_older(old)
    assert not names.is_older(time.monotonic())
    assert len(names.pauses(old)) < len(names.pauses(time.monotonic()))
    names.forget()
    assert names.pauses(old) == names.pauses(time.monotonic())
