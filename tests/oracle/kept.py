"""I11: what gateways keep of each message is what the server has.

Of an Email with several copies JMAP shows no more than what these have together, and a copy that is
kept otherwise than it is comes to light much later, when the others are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from pathlib import Path

from gateway.store.opening import open_store
from gateway.sync.data import AccountData
from gateway.sync.keywords import DELETED
from gateway.sync.ledger import Ledger
from gateway.sync.placements import MailboxColumns
from tests.oracle.raw_reader import Raw

_Copies = Mapping[Hashable, frozenset[str]]


def differences(url: str, directory: Path, account_id: str, raw: Raw) -> list[str]:
    """What is kept otherwise than it is, and what is not kept; nothing if no account is."""
    data = asyncio.run(_load(url, directory, account_id))
    if data is None:
        return []
    kept, is_ = _kept(data, raw), _copies(raw)
    return [
        f"{name} is kept as {_told(kept.get(name))}, and is {_told(is_.get(name))}"
        for name in sorted({*kept, *is_}, key=str)
        if kept.get(name) != is_.get(name)
    ]


async def _load(url: str, directory: Path, account_id: str) -> AccountData | None:
    store = open_store(url, None, directory)
    try:
        return await Ledger(store, account_id)._load()  # which writes nothing, as load() may
    finally:
        await store.close()


def _kept(data: AccountData, raw: Raw) -> _Copies:
    """Flags by mailbox and UID, of mailboxes that are still there."""
    found: dict[Hashable, frozenset[str]] = {}
    for mailbox in data.mailboxes.values():
        columns = data.columns(mailbox.id)
        if mailbox.wire is not None and columns is not None:
            name = mailbox.wire.decode()
            if raw.validities.get(name) == columns.uidvalidity:
                for uid, flags in _flags(data, columns):
                    found[name, uid] = flags
    return found


def _flags(data: AccountData, columns: MailboxColumns) -> list[tuple[int, frozenset[str]]]:
    table = data.index.keywords
    bits = [table.unpack(row) for row in columns.bits]
    names = [{*table.keywords(each), *["\\deleted"] * bool(each & DELETED)} for each in bits]
    return list(zip(columns.uids.tolist(), map(frozenset, names), strict=True))


def _copies(raw: Raw) -> _Copies:
    return {
        (copy.name, copy.uid): copy.keywords | {"\\deleted"} & copy.flags for copy in raw.copies
    }


def _told(flags: frozenset[str] | None) -> object:
    return "nothing" if flags is None else sorted(flags)
