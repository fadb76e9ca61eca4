"""RFC 9051 §6.4.7: messages copied by the server from one account of a user to another.

Both are mailboxes that one connection sees (RFC 2342), so nothing has to go back and forth. A copy
has the identity of its original, by which it is found.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.imap.commands.copy import copy
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError
from gateway.sync.account import Account
from gateway.sync.added import likeness
from gateway.sync.errors import MailboxChanged
from gateway.sync.failures import Failure, FailureKind
from gateway.sync.writing import Writing

_LOOKS = (0.0, 0.5, 2.0)
"""Pauses before each look for copies that are not seen yet."""


def can_copy(held: Writing, source: Account, row: int) -> bool:
    """Whether the Email of a row of `source` can be copied to the account that is held.

    Not if that has it already: another copy would be the same Email.
    """
    account = held.account
    if account.pool is not source.pool or account.data.tier is not source.data.tier:
        return False
    return account.data.emails.row(source.data.emails.id(row)) < 0


async def copy_across(
    held: Writing, source: Account, targets: Mapping[int, str]
) -> dict[int, int | Failure]:
    """Copy Emails of `source`, by row, each to a mailbox of the account that is held, by id.

    Gives their rows there, or why one was not copied; nothing of those that the server does not
    want to copy, for whatever reason. Raises Unknown, NotCommitted, and AuthenticationFailed.
    """
    await held.account.added.note(
        likeness(int(source.data.emails.octets[row]), source.data.headers.get(row) or b"")
        for row in targets
    )
    refused: set[int] = set()
    gone: set[int] = set()
    for (number, mailbox_id), rows in _by_mailboxes(source, targets).items():
        try:
            gone |= await _copy(held, source, number, mailbox_id, rows)
        except CommandRefused:
            refused |= set(rows.values())
        except AuthenticationFailed:
            raise
        except ImapError:
            pass  # what has been done is seen when the account is read again
    copied = await _find(held, source, targets.keys() - refused - gone)
    return copied | dict.fromkeys(gone, Failure(FailureKind.NOT_FOUND))


async def _find(held: Writing, source: Account, rows: Iterable[int]) -> dict[int, int | Failure]:
    """The rows of the copies, looked for until they are seen."""
    ids = {row: source.data.emails.id(row) for row in rows}
    found: dict[str, int] = {}
    for pause in _LOOKS:
        await asyncio.sleep(pause)
        await held.refresh()
        found = held.data.emails.rows(ids.values())
        if len(found) == len(ids):
            break
    unseen = Failure(FailureKind.UNAVAILABLE)
    return {row: found.get(id_, unseen) for row, id_ in ids.items()}


def _by_mailboxes(
    source: Account, targets: Mapping[int, str]
) -> dict[tuple[int, str], dict[int, int]]:
    """The rows by their UIDs, of each mailbox that has them and each that is to get them."""
    groups: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    for row, mailbox_id in targets.items():
        for number, uid in source.data.emails.placements(row)[:1]:
            groups[number, mailbox_id][uid] = row
    return groups


async def _copy(
    held: Writing, source: Account, number: int, mailbox_id: str, rows: Mapping[int, int]
) -> set[int]:
    """Copy messages, given by UID; the rows of those that the server says were not there."""
    origin = source.data.by_number()[number]
    target = held.data.mailboxes[mailbox_id]
    if origin.wire is None or target.wire is None:
        raise MailboxChanged
    async with source.pool.connection(origin.wire) as connection:
        selected = connection.selected
        uidvalidity = source.data.index.mailbox(number).uidvalidity
        if selected is None or selected.uidvalidity != uidvalidity:
            raise MailboxChanged
        copied = await copy(connection, rows, target.wire)
    if copied.uids is None:
        return set()
    return {row for uid, row in rows.items() if uid not in copied.uids}
