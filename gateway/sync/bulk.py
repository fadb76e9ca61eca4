"""RFC 9051 §6.4.9: FETCH of many messages in slices, whatever single ones of them do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.imap.commands.fetch_columns import stream_columns
from gateway.imap.connection import Connection
from gateway.imap.division import HOPELESS
from gateway.imap.errors import CommandRefused, CommandTimeout, ConnectionLost, ProtocolError
from gateway.imap.wire.encode import SequenceSet, pack_uids
from gateway.imap.wire.fetchshape import Columns
from gateway.imap.wire.items import Item
from gateway.sync.arrays import Uids
from gateway.sync.errors import Narrowed
from gateway.sync.trouble import Trouble

SLICE = 2000
_LONG = 1000  # octets of a set

_BREAKS = (ConnectionLost, ProtocolError, CommandTimeout)


async def read(
    connection: Connection,
    trouble: Trouble,
    uids: Uids,
    asked: Sequence[Item],
    take: Callable[[Columns], None],
    absent: Callable[[Uids], Uids],
) -> None:
    """Read messages of the selected mailbox, newest first; `take` is called with what comes.

    `absent` tells which of the messages asked for did not come. Raises ImapError: Narrowed when the
    connection broke, and CommandRefused when the server refuses this kind of FETCH, or everything.
    """
    size = min(SLICE, connection.max_messages or SLICE)
    parts = [
        packed
        for part in trouble.slices(uids, size)
        for packed in _packed(part, connection.max_set)
    ]
    while parts:
        done = 0
        try:
            async for columns in stream_columns(connection, (octets for _, octets in parts), asked):
                take(columns)
                done += 1
        except _BREAKS as error:
            part, octets = parts[min(done, len(parts) - 1)]
            trouble.broke(part)
            if len(octets) > _LONG:  # some servers hang up at long lines
                connection.shorten_lines(len(octets))
            raise Narrowed(str(error)) from error
        except CommandRefused as refused:
            if refused.status != "NO" or len(parts[done][0]) > HOPELESS:
                raise
            done += 1
        finally:
            # A server may give messages of one slice along with those of another.
            for part, _ in parts[:done]:
                trouble.gave(part, absent(part))
        parts = parts[done:]


def _packed(uids: Uids, limit: int) -> Iterator[tuple[Uids, SequenceSet]]:
    """UIDs in sets of at most so many octets each, the highest first."""
    sets = pack_uids(uids.tolist(), limit)
    if len(sets) == 1:
        yield uids, sets[0]
        return
    middle = len(uids) // 2
    for half in (uids[middle:], uids[:middle]):
        yield from _packed(half, limit)
