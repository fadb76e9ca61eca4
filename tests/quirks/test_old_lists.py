"""RFC 9051 §6.3.9: sessions that list the mailboxes of the past until they end."""

from __future__ import annotations

from pathlib import Path

from tests.mail.client import Client
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of


class Stale(Small):
    """As Dovecot is when several sessions have changed names at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.mailboxes = [b"INBOX", b"old"]
        self.is_stale = True
        self.sessions: dict[Peer, list[bytes]] = {}

    async def authenticate(self, peer: Peer, command: Received) -> None:
        """What there is now is what the session lists."""
        self.sessions[peer] = [*self.mailboxes]
        await super().authenticate(peer, command)

    async def list(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.9."""
        names = self.sessions[peer] if self.is_stale else self.mailboxes
        await peer.ok(command, *(b'* LIST () "/" ' + name for name in names))

    async def status(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.11."""
        name = command.line.split(b" ")[1]
        if name not in self.mailboxes:
            await peer.send(command.tag + b" NO [NONEXISTENT] It is not there.")
            return
        await peer.ok(command, b"* STATUS %s (%s)" % (name, self.figures()))

    async def create(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.4."""
        self.mailboxes.append(command.line.split(b" ")[1])
        await peer.ok(command)

    async def rename(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.6."""
        _, old, new = command.line.split(b" ")
        self.mailboxes[self.mailboxes.index(old)] = new
        await peer.ok(command)

    async def delete(self, peer: Peer, command: Received) -> None:
        """RFC 9051 §6.3.5."""
        self.mailboxes.remove(command.line.split(b" ")[1])
        await peer.ok(command)


async def _names(client: Client) -> dict[str, str]:
    got = await client.call("Mailbox/get", ids=None)
    return {mailbox["name"]: mailbox["id"] for mailbox in got["list"]}


async def test_what_a_session_does_not_list_of_its_own_changes_another_one_does(
    tmp_path: Path,
) -> None:
    async with Scripted(Stale()) as server, account_of(server, tmp_path) as account:
        await account.indexed()
        client = Client(account)
        held = (await _names(client))["old"]
        done = await client.call(
            "Mailbox/set", create={"a": {"name": "new"}}, update={held: {"name": "other"}}
        )
        made = done["created"]["a"]["id"]
        names = await _names(client)
        assert (names["new"], names["other"]) == (made, held)
        assert "old" not in names
        await client.call("Mailbox/set", destroy=[made], onDestroyRemoveEmails=True)
        assert {*await _names(client)} == {"Inbox", "other"}


async def test_a_mailbox_that_a_session_lists_and_can_not_tell_of_is_asked_of_another_one(
    tmp_path: Path,
) -> None:
    stale = Stale()
    async with Scripted(stale) as server, account_of(server, tmp_path) as account:
        await account.indexed()
        client = Client(account)
        held = (await _names(client))["old"]
        stale.mailboxes[1] = b"other"  # by somebody else
        await account.recheck()
        names = await _names(client)
        assert "old" not in names
        assert "other" in names
        assert held not in names.values() or names["other"] == held
