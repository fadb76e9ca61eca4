"""RFC 6851 (RFC 9051 §6.4.8): UID MOVE; without it COPY, STORE and EXPUNGE."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.commands.copy import Copied, Copy, copy, run_in_turn
from gateway.imap.commands.expunge import remove
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode


class Move(Copy):
    """UID MOVE; what it expunges is news like any other."""

    name: ClassVar[str] = "MOVE"

    def smaller(self, refused: CommandRefused) -> Sequence[Command[Copied]] | None:
        if refused.lowest_done is None:
            return super().smaller(refused)
        sets = refusals.remaining(self._uids, (), refused)
        return None if sets is None else [Move(each, self._mailbox) for each in sets]


async def move(conn: Commander, uids: Iterable[int], mailbox: bytes) -> Copied:
    r"""Move messages of the SELECTed mailbox to another, given by its wire name.

    Without MOVE they are copied first, so that none is ever in no mailbox; the originals are gone
    or flagged \Deleted then. Raises CommandRefused; what `partial` tells of, where it is a Copied,
    was moved, or copied at least.
    """
    messages = sorted(set(uids))
    if "MOVE" not in conn.capabilities and "IMAP4REV2" not in conn.capabilities:
        return await _copy_and_remove(conn, messages, mailbox)
    sets = encode.pack_uids(messages, conn.max_set)
    return await run_in_turn(conn, [Move(packed, mailbox) for packed in sets])


async def _copy_and_remove(conn: Commander, messages: Sequence[int], mailbox: bytes) -> Copied:
    copied = await copy(conn, messages, mailbox)
    # Of a message that the server has not copied, the original is all there is.
    originals = messages if copied.uids is None else sorted(copied.uids)
    try:
        await remove(conn, originals)
    except CommandRefused as refused:
        refused.partial = copied
        raise
    return copied
