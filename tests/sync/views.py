"""What a JMAP client may see of an account, in plain values that two sources can be compared by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import NamedTuple

import numpy as np

from gateway.sync import ids
from gateway.sync.account import Account
from gateway.sync.content import Want
from gateway.sync.data import AccountData


class Mail(NamedTuple):
    """One Email: paths of its mailboxes, its keywords, seconds since 1970, octets."""

    mailboxes: frozenset[str]
    keywords: frozenset[str]
    received: int
    octets: int


class Counts(NamedTuple):
    """RFC 8621 §2: the four counts of a Mailbox."""

    total_emails: int
    unread_emails: int
    total_threads: int
    unread_threads: int


@dataclass(frozen=True, slots=True)
class View:
    """Emails by Message-ID, counts of mailboxes by path, subscribed paths, Threads by members."""

    mails: dict[str, Mail]
    counts: dict[str, Counts]
    subscribed: frozenset[str]
    threads: frozenset[frozenset[str]]


async def view(account: Account) -> View:
    """What the gateway shows now."""
    await account.fresh()
    data = await account.indexed()
    names = await message_ids(account)
    emails, keywords, mailboxes = data.emails, data.index.keywords, data.by_number()
    mails = {
        name: Mail(
            frozenset("/".join(mailboxes[number].path) for number, _ in emails.placements(row)),
            frozenset(keywords.keywords(keywords.unpack(emails.bits[row]))),
            int(emails.received[row]),
            int(emails.octets[row]),
        )
        for row, name in names.items()
    }
    assert len(mails) == len(names), "two Emails are one message"
    return View(
        mails,
        {"/".join(m.path): _counts(data, id_) for id_, m in data.mailboxes.items()},
        frozenset("/".join(m.path) for m in data.mailboxes.values() if m.is_subscribed),
        _threads((int(emails.thread[row]), name) for row, name in names.items()),
    )


async def message_ids(account: Account) -> dict[int, str]:
    """Message-ID of each row that is an Email."""
    rows: list[int] = np.flatnonzero(account.data.emails.visible()).tolist()
    gone = await account.content.read(rows, (Want.HEADER,))
    assert not gone
    parser = BytesHeaderParser()
    headers = {row: account.data.headers.get(row) or b"" for row in rows}
    return {row: str(parser.parsebytes(h)["Message-ID"]).strip("<>") for row, h in headers.items()}


async def email_ids(account: Account) -> dict[str, str]:
    """Email id of each Message-ID."""
    await account.fresh()
    data = await account.indexed()
    return {name: data.emails.id(row) for row, name in (await message_ids(account)).items()}


async def previews(account: Account) -> dict[str, str]:
    """Preview of each Message-ID."""
    await account.fresh()
    await account.indexed()
    names = await message_ids(account)
    gone = await account.content.read([*names], (Want.PREVIEW,))
    assert not gone
    return {name: account.content.preview(row) for row, name in names.items()}


async def thread_ids(account: Account) -> dict[str, str]:
    """Thread id of each Message-ID."""
    await account.fresh()
    emails = (await account.indexed()).emails
    keys = {
        name: emails.thread_keys[emails.thread[r]]
        for r, name in (await message_ids(account)).items()
    }
    return {name: ids.thread_id(int(key)) for name, key in keys.items()}


def mailbox_ids(data: AccountData) -> dict[str, str]:
    """Mailbox id of each path."""
    return {"/".join(mailbox.path): id_ for id_, mailbox in data.mailboxes.items()}


def _counts(data: AccountData, mailbox_id: str) -> Counts:
    counts = data.counts(data.mailboxes[mailbox_id])
    return Counts(
        counts.total_emails, counts.unread_emails, counts.total_threads, counts.unread_threads
    )


def _threads(members: Iterable[tuple[object, str]]) -> frozenset[frozenset[str]]:
    groups: dict[object, set[str]] = {}
    for thread, name in members:
        groups.setdefault(thread, set()).add(name)
    return frozenset(map(frozenset, groups.values()))
