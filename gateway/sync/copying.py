"""RFC 9051 §6.4.7: messages copied by the server from one account of a user to another.

Both are mailboxes that one connection sees (RFC 2342), so nothing has to go back and forth. A copy
has the identity of its original, by which it is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from gateway.imap.commands.copy import copy
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ImapError
from gateway.sync.account import Account
from gateway.sync.failures import Failure, FailureKind
from gateway.sync.writing import Writing


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
    refused: set[int] = set()
    failures: dict[int, Failure] = {}
    for (number, mailbox_id), rows in _by_mailboxes(source, targets).items():
        try:
            await _copy(held, source, number, mailbox_id, rows)
        except CommandRefused:
            refused |= set(rows.values())
        except AuthenticationFailed:
            raise
        except ImapError as error:
            failure = Failure(FailureKind.UNAVAILABLE, str(error))
            failures |= dict.fromkeys(rows.values(), failure)
    await held.refresh()
    ids = {row: source.data.emails.id(row) for row in targets}
    found = held.data.emails.rows(ids.values())
    gone = Failure(FailureKind.NOT_FOUND)
    copied: dict[int, int | Failure] = {row: found[id_] for row, id_ in ids.items() if id_ in found}
    missing = targets.keys() - copied.keys() - refused
    return copied | {row: failures.get(row, gone) for row in missing}


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
) -> None:
    origin = source.data.by_number()[number]
    target = held.data.mailboxes[mailbox_id]
    if origin.wire is None or target.wire is None:
        return
    uidvalidity = source.data.index.mailbox(number).uidvalidity
    async with source.pool.connection(origin.wire) as connection:
        selected = connection.selected
        if selected is not None and selected.uidvalidity == uidvalidity:
            await copy(connection, rows, target.wire)
