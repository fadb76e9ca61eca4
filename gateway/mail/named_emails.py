"""RFC 5322 §3.6.4: the Emails that have a Message-ID.

The index has no order by Message-ID. The server searches for them, and what it finds is compared
with the header fields that the index keeps: IMAP looks for what is contained in a field.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from gateway.imap.wire import criteria
from gateway.mail.text_search import MAX_OCTETS
from gateway.mime import headers
from gateway.mime.threading import field_values
from gateway.sync import searching
from gateway.sync.account import Account
from gateway.sync.arrays import Mask
from gateway.sync.content import Want
from gateway.sync.searching import SearchRefused, TooManyToSearch

# What none of the msg-ids has that are worth a search; more than that is on no line of a header.
_SEARCHABLE: Final = re.compile(r"[^\s<>\x00-\x1f\x7f-\x9f]{1,900}")
# "OR () HEADER Message-ID " and quotes.
_OCTETS_AROUND: Final = 40


async def named_emails(account: Account, message_ids: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the Emails that have each Message-ID, which are given without brackets.

    Those that no Email has are left out, and so are those that the server does not search for, or
    not in the time that a client waits. Raises ImapError.
    """
    sought = [id_ for id_ in dict.fromkeys(message_ids) if _SEARCHABLE.fullmatch(id_)]
    found: dict[str, list[str]] = {}
    if not sought:
        return found
    await account.indexed()
    try:
        async with asyncio.timeout(searching.DEADLINE):
            for some in _fitting(sought):
                found |= await _named(account, frozenset(some))
    except TimeoutError:
        pass  # what it has found is kept, and who asks again goes on from there
    return found


def _fitting(message_ids: Iterable[str]) -> Iterator[Sequence[str]]:
    """As many at a time as fit into one SEARCH."""
    group: list[str] = []
    octets = 0
    for id_ in message_ids:
        size = len(id_.encode()) + _OCTETS_AROUND
        if group and octets + size > MAX_OCTETS:
            yield group
            group, octets = [], 0
        group.append(id_)
        octets += size
    if group:
        yield group


async def _named(account: Account, message_ids: frozenset[str]) -> dict[str, list[str]]:
    emails = account.data.emails
    candidates = np.flatnonzero(await _candidates(account, message_ids)).tolist()
    gone = await account.content.read(candidates, (Want.HEADER,))
    named: defaultdict[str, list[str]] = defaultdict(list)
    for row in candidates:
        if row in gone or not emails.placements(row):
            continue
        for id_ in _own_ids(account.content.kept_header(row)) & message_ids:
            named[id_].append(emails.id(row))
    return dict(named)


async def _candidates(account: Account, message_ids: frozenset[str]) -> Mask:
    """The rows that contain one of them in their Message-ID; none if that can not be told."""
    rows = account.data.emails.visible()
    keys = (criteria.header("Message-ID", id_) for id_ in sorted(message_ids))
    sought = criteria.any_of(*keys)
    try:
        return await account.searching.matching(sought, rows)
    except SearchRefused:
        pass
    try:
        return await account.searching.matching_header(sought, rows, _has_one_of(message_ids))
    except TooManyToSearch:
        return np.zeros(len(rows), np.bool_)


def _has_one_of(message_ids: frozenset[str]) -> Callable[[bytes], bool]:
    return lambda header: not _own_ids(header).isdisjoint(message_ids)


def _own_ids(header: bytes) -> set[str]:
    """The Message-ID of a message, and whatever else is in that field."""
    (value,) = field_values(header, (b"message-id",))
    return set(headers.message_ids(value) or ())
