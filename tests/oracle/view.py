"""RFC 8621 §2, §4.1.1: an account in plain values that two sources can be compared by.

Nothing in here knows of ids: a message is its number (letters.py), a mailbox its path, a Thread
its members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Mail(NamedTuple):
    """An Email: number, octets, seconds since 1970, paths of its mailboxes, its keywords."""

    number: int
    octets: int
    received: int
    mailboxes: frozenset[str]
    keywords: frozenset[str]


class Box(NamedTuple):
    """A Mailbox: its role, whether it is subscribed, and its four counts."""

    role: str | None
    is_subscribed: bool
    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int


@dataclass(frozen=True, slots=True)
class View:
    """Emails, Mailboxes by path, and Threads as the sorted numbers of their Emails."""

    mails: Counter[Mail]
    boxes: dict[str, Box]
    threads: Counter[tuple[int, ...]]


def threads_of(mails: Iterable[tuple[Mail, Hashable]]) -> Counter[tuple[int, ...]]:
    """Threads of Emails, each with what its Thread is called."""
    members: dict[Hashable, list[int]] = {}
    for mail, thread in mails:
        members.setdefault(thread, []).append(mail.number)
    return Counter(tuple(sorted(numbers)) for numbers in members.values())


def counts(
    path: str, mails: list[tuple[Mail, Hashable]], trash: str | None
) -> tuple[int, int, int, int]:
    """RFC 8621 §2: totalEmails, unreadEmails, totalThreads, unreadThreads of a mailbox.

    Emails only in the Trash make no Thread unread elsewhere; those not in it, none in there.
    """
    inside = [(mail, thread) for mail, thread in mails if path in mail.mailboxes]
    threads = {thread for _, thread in inside}
    unread = [pair for pair in mails if not pair[0].keywords & {"$seen", "$draft"}]
    if path == trash:
        heard = {thread for mail, thread in unread if path in mail.mailboxes}
    else:
        heard = {thread for mail, thread in unread if mail.mailboxes != {trash}}
    unread_inside = sum(path in mail.mailboxes for mail, _ in unread)
    return len(inside), unread_inside, len(threads), len(threads & heard)


def differences(left: str, one: View, right: str, other: View, most: int = 6) -> list[str]:
    """What is not the same in two views, in words; empty when they are equal."""
    found: list[str] = []
    for side, a, b in ((left, one, other), (right, other, one)):
        found += [f"Email only in {side}: {_shown(mail)}" for mail in sorted(a.mails - b.mails)]
        found += [f"Thread only in {side}: {_shown(t)}" for t in sorted(a.threads - b.threads)]
    for path in sorted({*one.boxes, *other.boxes}):
        a_box, b_box = one.boxes.get(path), other.boxes.get(path)
        if a_box != b_box:
            found.append(f"Mailbox {path}: {left} {_shown(a_box)}, {right} {_shown(b_box)}")
    more_of_them = [f"and {len(found) - most} more"] if len(found) > most else []
    return [*found[:most], *more_of_them]


def _shown(item: object) -> str:
    return str(item).replace("frozenset", "")
