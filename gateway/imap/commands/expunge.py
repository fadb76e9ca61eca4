r"""RFC 9051 §6.4.9: UID EXPUNGE; RFC 4315 §2.1, and what to do without it.

EXPUNGE removes every message that is flagged \Deleted, also those that somebody else has flagged
and may still want back. Without UID EXPUNGE their flag is taken away for the moment. Should the
connection be lost meanwhile, a message has come back at worst, and none is lost.
"""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.commands.search import uid_search
from gateway.imap.commands.store import store
from gateway.imap.errors import CommandRefused, ImapError
from gateway.imap.wire import criteria, encode
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.responses import Tagged, Untagged

DELETED = "\\Deleted"


class FlagsLost(ImapError):
    r"""Messages that were flagged \Deleted are so no longer, and could not be flagged again."""

    def __init__(self, uids: Sequence[int]) -> None:
        super().__init__(f"{len(uids)} messages are no longer flagged as deleted")
        self.uids = uids


class UidExpunge(Command[None]):
    """UID EXPUNGE of a set."""

    name: ClassVar[str] = "EXPUNGE"

    def __init__(self, uids: SequenceSet) -> None:
        self._uids = uids

    def encode(self) -> Encoded:
        uids = encode.sequence_set(self._uids)
        return encode.join(encode.atom("UID"), encode.atom(self.name), uids)

    def collect(self, response: Untagged) -> bool:
        return self.note_limit(response)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)

    def smaller(self, refused: CommandRefused) -> Sequence[UidExpunge] | None:
        if refused.lowest_done is None and not refusals.is_too_long(refused):
            return None
        sets = refusals.remaining(self._uids, (), refused)
        return None if sets is None else [UidExpunge(each) for each in sets]

    def merged(self, parts: Sequence[None], lacks: bool) -> None:
        return None


class Expunge(Command[None]):
    r"""EXPUNGE of all that is flagged \Deleted; only `expunge` may send it."""

    name: ClassVar[str] = "EXPUNGE"

    def encode(self) -> Encoded:
        return encode.atom(self.name)

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


async def remove(conn: Commander, uids: Iterable[int]) -> bool:
    """Flag messages of the SELECTed mailbox as deleted and expunge them; see `expunge`."""
    messages = sorted(set(uids))
    await store(conn, messages, "+FLAGS", [DELETED])
    return await expunge(conn, messages)


async def expunge(conn: Commander, uids: Iterable[int]) -> bool:
    r"""Remove messages of the SELECTed mailbox that are flagged \Deleted, and no others.

    False when that can not be done, as somebody else is at it: they stay flagged. Raises
    CommandRefused; FlagsLost when the connection is lost while others are without their flag.
    """
    messages = sorted(set(uids))
    if not messages:
        return True
    if "UIDPLUS" in conn.capabilities or "IMAP4REV2" in conn.capabilities:
        for packed in encode.pack_uids(messages, conn.max_set):
            await conn.run(UidExpunge(packed))
        return True
    others = await _deleted_beside(conn, messages)
    if not others:
        await conn.run(Expunge())
        return True
    try:
        await store(conn, others, "-FLAGS", [DELETED])
        newly = await _deleted_beside(conn, messages)
        if not newly:
            await conn.run(Expunge())
    finally:
        await _flag_again(conn, others)
    return not newly


async def _deleted_beside(conn: Commander, messages: Sequence[int]) -> list[int]:
    found = await uid_search(conn, criteria.flag(DELETED))
    return sorted(set(found) - set(messages))


async def _flag_again(conn: Commander, uids: Sequence[int]) -> None:
    try:
        await store(conn, uids, "+FLAGS", [DELETED])
    except ImapError as error:
        raise FlagsLost(uids) from error
