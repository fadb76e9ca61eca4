"""RFC 9051 §2.3.1.1: servers without a UIDVALIDITY, or with one that does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.sync.quarantine import HOLD_SECONDS, MOST, WINDOW_SECONDS, Quarantine
from tests.quirks.shown import letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of


class Two(Small):
    """Has an inbox, which is well, and another mailbox, "x", which makes trouble."""

    validity = 7
    refusal = b""
    ids = False

    async def list(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b'* LIST () "/" INBOX', b'* LIST () "/" x')

    async def status(self, peer: Peer, command: Received) -> None:
        name = command.line.split(b" ")[1]
        figures = self.figures()
        if name == b"x":
            figures = figures.replace(b"UIDVALIDITY 7", b"UIDVALIDITY %d" % self.validity)
        await peer.ok(command, b"* STATUS %s (%s)" % (name, figures))

    async def examine(self, peer: Peer, command: Received) -> None:
        if command.line.endswith(b" x"):
            if self.refusal:
                await peer.send(command.tag + b" " + self.refusal)
                return
            lines = [
                line.replace(b"UIDVALIDITY 7", b"UIDVALIDITY %d" % self.validity)
                for line in self.selected()
            ]
            await peer.ok(command, *lines)
        else:
            await super().examine(peer, command)


def _reads(server: Scripted) -> int:
    return sum(b"HEADER.FIELDS" in each.line for each in server.received)


@pytest.mark.quirk(35)
async def test_a_mailbox_whose_uids_never_hold_is_left_alone(tmp_path: Path) -> None:
    small = Two(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        await account.indexed()
        ids = []
        for _ in range(3 * MOST):
            small.validity += 1
            await account.fresh()
            await account.indexed()
            ids.append({"/".join(m.path): m.id for m in account.data.mailboxes.values()})
        assert _reads(server) <= 2 + MOST
        assert len({each["x"] for each in ids[-MOST:]}) == 1
        assert len({each["Inbox"] for each in ids}) == 1
        small.letters += letters(4)
        await account.fresh()
        inbox = account.data.columns(ids[-1]["Inbox"])
        assert inbox is not None
        assert inbox.uids.tolist() == [1, 2, 3, 4], "the account goes on"


@pytest.mark.quirk(35)
@pytest.mark.parametrize("told", [b"", b"UIDVALIDITY 0"])
async def test_no_uidvalidity_is_as_good_as_one_that_holds(tmp_path: Path, told: bytes) -> None:
    class Missing(Small):
        def figures(self) -> bytes:
            return super().figures().replace(b"UIDVALIDITY 7", told).strip()

        def selected(self) -> Sequence[bytes]:
            return [line for line in super().selected() if b"UIDVALIDITY" not in line]

    small = Missing(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        await account.indexed()
        reads = _reads(server)
        for _ in range(3):
            await account.fresh()
        assert _reads(server) == reads
        small.letters += letters(3)
        await account.fresh()
        (columns,) = (columns for _, columns in account.data.selectable())
        assert columns.uids.tolist() == [1, 2, 3]


@pytest.mark.quirk(35)
async def test_one_uidvalidity_for_all_mailboxes_is_no_matter(tmp_path: Path) -> None:
    small = Two(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        await account.indexed()
        assert len(account.data.mailboxes) == 2
        assert [len(columns.uids) for _, columns in account.data.selectable()] == [2, 2]


@pytest.mark.quirk(35)
@pytest.mark.parametrize("early", [True, False])
async def test_a_mailbox_that_can_not_be_opened_keeps_nothing_from_being_shown(
    tmp_path: Path, early: bool
) -> None:
    small = Two(*letters(1, 2))
    small.refusal = b"NO [SERVERBUG] Internal error occurred." if early else b""
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        await account.indexed()
        small.refusal = b"NO [SERVERBUG] Internal error occurred."
        small.letters += letters(3)
        for _ in range(MOST + 1):
            await account.fresh()
        await account.indexed()
        mailboxes = {"/".join(m.path): m.id for m in account.data.mailboxes.values()}
        inbox = account.data.columns(mailboxes["Inbox"])
        assert inbox is not None
        assert inbox.uids.tolist() == [1, 2, 3]
        asked = sum(each.line == b"EXAMINE x" for each in server.received)
        await account.fresh()
        assert sum(each.line == b"EXAMINE x" for each in server.received) == asked


@pytest.mark.quirk(35)
def test_changes_are_borne_when_they_are_rare_and_a_hold_ends() -> None:
    now = 0.0
    quarantine = Quarantine(lambda: now)
    for validity in range(1, 50):
        quarantine.saw(b"x", validity)
        now += WINDOW_SECONDS / (MOST - 1)
        assert not quarantine.holds(b"x")
    for validity in range(100, 101 + MOST):
        quarantine.saw(b"x", validity)
    assert quarantine.holds(b"x")
    assert not quarantine.holds(b"y")
    now += HOLD_SECONDS
    assert not quarantine.holds(b"x")
