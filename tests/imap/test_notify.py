"""RFC 5465: NOTIFY, as it is sent and answered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.imap.commands.noop import Noop
from gateway.imap.commands.notify import Notify, has_overflowed, tells_of_change
from gateway.imap.errors import CommandRefused
from gateway.imap.wire.responses import Untagged
from tests.imap.sessions import session
from tests.servers.scripted import Peer

_EVENTS = b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"


@pytest.mark.parametrize(
    ("mailboxes", "line"),
    [
        ([], b"NOTIFY SET (personal %s)" % _EVENTS),
        (
            [b"shared/a", b'b "c"'],
            b'NOTIFY SET (personal %s) (mailboxes (shared/a "b \\"c\\"") %s)' % (_EVENTS, _EVENTS),
        ),
    ],
)
async def test_the_own_mailboxes_and_those_named(mailboxes: list[bytes], line: bytes) -> None:
    """RFC 5465 §6.2, §6.6, §8"""
    async with session(b"IMAP4rev1 NOTIFY", answers={line: [b"OK"]}) as (connection, _):
        await connection.run(Notify(mailboxes))


async def test_a_refusal_says_which_events_there_are() -> None:
    """RFC 5465 §3.1"""
    line = b"NOTIFY SET (personal %s)" % _EVENTS
    answers = {line: [b"NO [BADEVENT (MessageNew MessageExpunge)] no"]}
    async with session(b"IMAP4rev1 NOTIFY", answers=answers) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await connection.run(Notify())
    assert refused.value.code == "BADEVENT"


async def test_news_come_while_no_command_runs_and_so_does_the_end() -> None:
    """RFC 5465 §3.1: the server tells at any time."""

    async def script(peer: Peer) -> None:
        await peer.ok(await peer.command())
        await peer.send(
            b"* STATUS Sent (MESSAGES 1)",
            b"* OK [NOTIFICATIONOVERFLOW] too much",
            b"* OK Still here",
            b"* OK [ALERT] no",
        )
        peer.close()

    async with session(b"IMAP4rev1 NOTIFY", script) as (connection, _):
        heard: list[Untagged] = []
        connection.on_unsolicited = heard.append
        await connection.run(Noop())
        await asyncio.wait_for(connection.ended.wait(), 10)
        assert connection.closed
    assert [tells_of_change(each) for each in heard] == [True, False, False, False]
    assert [has_overflowed(each) for each in heard] == [False, True, False, False]
