"""RFC 9051 §6.3.2, RFC 5530: why a mailbox can not be opened, also where only words tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.imap.commands.examine import examine
from gateway.imap.commands.status import status_of
from gateway.imap.errors import CommandRefused, MailboxUnavailable
from tests.imap.sessions import session
from tests.mail.client import Client
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of


@pytest.mark.quirk(47)
@pytest.mark.parametrize(
    "refusal",
    [
        b"NO [NONEXISTENT] Unknown Mailbox: x (Failure)",  # Gmail
        b"NO Mailbox doesn't exist: x",  # Dovecot of old
        b"NO Mailbox does not exist",  # Cyrus
        b"NO Mailbox does not exist, or must be subscribed to.",  # Courier
        b"NO x doesn't exist.",  # Exchange
        b"NO EXAMINE failed: Can't open mailbox x: no such mailbox",  # UW
        b"NO SELECT [NONEXISTENT] failed",
        b"NO Folder could not be found.",  # hMailServer
        b"NO Invalid mailbox name",
        b"NO Access denied",
        b"NO [NOPERM] Permission denied",
        b"NO [TRYCREATE] x",
        b"BAD Unknown folder",
    ],
)
async def test_a_mailbox_that_is_not_there_or_closed(refusal: bytes) -> None:
    async with session(b"IMAP4rev1", answers={b"EXAMINE x": [refusal]}) as (connection, _):
        with pytest.raises(MailboxUnavailable):
            await examine(connection, b"x")
        assert connection.selected is None


@pytest.mark.quirk(47)
@pytest.mark.parametrize(
    "refusal",
    [
        b"NO [UNAVAILABLE] Mailbox does not exist at the moment",
        b"NO [INUSE] Mailbox is locked",
        b"NO [SERVERBUG] Internal error occurred.",
        b"NO Server Error",
        b"NO Try again later",
    ],
)
async def test_a_refusal_that_passes_says_nothing_of_the_mailbox(refusal: bytes) -> None:
    async with session(b"IMAP4rev1", answers={b"EXAMINE x": [refusal]}) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await examine(connection, b"x")
        assert not isinstance(refused.value, MailboxUnavailable)


@pytest.mark.quirk(47)
async def test_no_figures_where_status_is_refused() -> None:
    asked = b"STATUS x (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"
    async with session(b"IMAP4rev1", answers={asked: [b"NO Mailbox gone"]}) as (connection, _):
        connection.server_name = "other"
        assert await status_of(connection, b"x") is None


class _Closed(Small):
    """Lists a mailbox, tells its figures, and refuses to open it."""

    refusal = b""

    async def list(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b'* LIST () "/" INBOX', b'* LIST () "/" closed')

    async def status(self, peer: Peer, command: Received) -> None:
        name = b"closed" if b"closed" in command.line else b"INBOX"
        await peer.ok(command, b"* STATUS %s (%s)" % (name, self.figures()))

    async def examine(self, peer: Peer, command: Received) -> None:
        if b"closed" in command.line:
            await peer.send(command.tag + b" " + self.refusal)
        else:
            await super().examine(peer, command)


@pytest.mark.quirk(47)
@pytest.mark.parametrize("refusal", [b"NO Access denied to this folder.", b"NO Server Error"])
async def test_a_mailbox_that_can_not_be_opened_is_not_in_the_way(
    refusal: bytes, tmp_path: Path
) -> None:
    small = _Closed()
    small.refusal = refusal
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        (email,) = await Client(account).emails(properties=["subject"])
    assert email["subject"] == "hello"
