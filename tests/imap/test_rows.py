"""RFC 9051 §7.5.2, RFC 7162: which FETCH responses are rows that were asked for, and which news."""

from __future__ import annotations

import asyncio

import pytest

from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.fetch_changes import FetchChanges
from gateway.imap.commands.fetch_columns import FetchColumns, header_fields, stream_columns
from gateway.imap.errors import (
    CommandRefused,
)
from gateway.imap.wire import items
from gateway.imap.wire.fetchshape import Shape
from tests.imap.sessions import connected, news
from tests.servers.scripted import Peer


def _row(uid: int, header: bytes) -> bytes:
    return b"* %d FETCH (UID %d BODY[HEADER.FIELDS (TO)]<0> {%d}\r\n%s)" % (
        uid,
        uid,
        len(header),
        header,
    )


async def test_bulk_rows_come_as_columns_and_news_between_them_staynews() -> None:
    evil = b"To: a\r\n\r\n)\r\n* 7 FETCH (UID 666 FLAGS (\\Deleted))\r\n"

    async def script(peer: Peer) -> None:
        first = await peer.command()
        rows = [_row(uid, evil if uid % 50 == 0 else b"To: b\r\n\r\n") for uid in range(1, 201)]
        rows.insert(77, b"* 300 EXISTS")
        rows.insert(99, b"* 5 FETCH (FLAGS (\\Seen))")
        second = await peer.command()
        octets = b"".join(row + b"\r\n" for row in rows) + first.tag + b" OK\r\n"
        octets += _row(201, evil) + b"\r\n" + second.tag + b" OK\r\n"
        for start in range(0, len(octets), 997):
            await peer.send_raw(octets[start : start + 997])
            await asyncio.sleep(0)

    async with connected(script) as (connection, _):
        heard = news(connection)
        asked = [items.UID, header_fields(["To"])]
        slices = [each async for each in stream_columns(connection, [b"1:200", b"201"], asked)]
    assert [len(each) for each in slices] == [200, 1]
    assert slices[0].uid == [b"%d" % uid for uid in range(1, 201)]
    assert slices[0].header[48:51] == [b"To: b\r\n\r\n", evil, b"To: b\r\n\r\n"]
    assert slices[1].header == [evil]
    assert heard == [b"* 300 EXISTS", b"* 5 FETCH (FLAGS (\\Seen))"]


async def test_rows_in_pieces_are_put_together() -> None:
    """Exchange sends the items of a message in several responses."""

    async def script(peer: Peer) -> None:
        await peer.ok(
            await peer.command(),
            b"* 1 FETCH (FLAGS (\\Seen))",
            b"* 2 FETCH (UID 12 FLAGS ())",
            b"* 1 FETCH (UID 11 MODSEQ (5))",
            b"* 3 FETCH (UID 13 FLAGS () MODSEQ (6))",
            b"* 3 FETCH (UID 13 FLAGS (\\Seen))",
            b"* 4 FETCH (FLAGS (\\Draft))",
        )

    async with connected(script) as (connection, _):
        heard = news(connection)
        asked = [items.UID, items.FLAGS, items.MODSEQ]
        columns = await connection.run(FetchColumns(b"11:13", asked, Shape(asked)))
    assert sorted(zip(columns.uid, columns.flags, columns.modseq, strict=True)) == [
        (b"11", b"\\Seen", b"5"),
        (b"12", b"", None),
        (b"13", b"", b"6"),
    ]
    assert heard == [b"* 3 FETCH (UID 13 FLAGS (\\Seen))", b"* 4 FETCH (FLAGS (\\Draft))"]


async def test_parts_of_a_fetched_row_are_merged_and_news_are_told_apart() -> None:
    async def script(peer: Peer) -> None:
        await peer.ok(
            await peer.command(),
            b"* 1 FETCH (RFC822.SIZE 7)",
            b"* 1 FETCH (UID 5 BODY[1] NIL)",
            b"* 1 FETCH (UID 5 FLAGS (\\Seen))",
            b"* 8 FETCH (UID 9 RFC822.SIZE 1)",
            b"* 2 FETCH (RFC822.SIZE 8)",
        )

    async with connected(script) as (connection, _):
        heard = news(connection)
        fetched = await fetch(connection, [5, 6], [items.SIZE, items.section("", "1")])
    (row,) = fetched.rows
    assert (row.uid, row.size, row.sections, row.flags) == (5, 7, {"BODY[1]": None}, None)
    assert row.present == {"UID", "RFC822.SIZE", "BODY[1]"}
    assert heard == [
        b"* 1 FETCH (UID 5 FLAGS (\\Seen))",
        b"* 8 FETCH (UID 9 RFC822.SIZE 1)",
        b"* 2 FETCH (RFC822.SIZE 8)",
    ]


async def test_a_refused_fetch_gives_what_came() -> None:
    """RFC 9051 §7.1.3: BAD is about the command, which is not tried again."""

    async def script(peer: Peer) -> None:
        command = await peer.command()
        await peer.send(b"* 1 FETCH (UID 5 RFC822.SIZE 7)", command.tag + b" BAD no more")

    async with connected(script) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await fetch(connection, [5, 6], [items.SIZE])
        assert [row.uid for row in refused.value.partial.rows] == [5]  # type: ignore[attr-defined]


async def test_vanished_is_taken_only_when_asked_for() -> None:
    """RFC 7162 §3.2.6: VANISHED (EARLIER) answers, VANISHED alone is news."""

    async def script(peer: Peer) -> None:
        command = await peer.command()
        assert command.line == b"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 5 VANISHED)"
        await peer.ok(command, b"* VANISHED (EARLIER) 41,43:45", b"* VANISHED 7")

    async with connected(script) as (connection, _):
        heard = news(connection)
        asked = [items.UID, items.FLAGS]
        found = await connection.run(FetchChanges(b"1:*", asked, 5, vanished=True))
    assert found.vanished == [(41, 41), (43, 45)]
    assert heard == [b"* VANISHED 7"]
