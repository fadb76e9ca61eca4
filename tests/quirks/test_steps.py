"""RFC 7162: servers with mod-sequences in part, wrongly or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.sync import checker
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Letter, Small, account_of

_SINCE = re.compile(rb"\(CHANGEDSINCE (\d+)(?: VANISHED)?\)")


class Counting(Small):
    """Has mod-sequences: `modseqs` of its messages by UID, and the highest."""

    capabilities = b"IMAP4rev1 LITERAL+ ENABLE CONDSTORE"
    highest: int = 10
    enabled = b"* ENABLED CONDSTORE"

    def __init__(self, *letters: Letter) -> None:
        super().__init__(*letters)
        self.modseqs = {letter.uid: 1 for letter in letters}

    async def enable(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, *filter(None, [self.enabled]))

    def figures(self) -> bytes:
        return super().figures() + b" HIGHESTMODSEQ %d" % self.highest

    def selected(self) -> Sequence[bytes]:
        return (*super().selected(), b"* OK [HIGHESTMODSEQ %d] ok" % self.highest)

    def rows(self, number: int, letter: Letter, asked: bytes) -> Sequence[bytes]:
        since = _SINCE.search(asked)
        if since is not None and self.modseqs[letter.uid] <= int(since[1]):
            return ()
        items = [*self.items(letter, asked)]
        if b"MODSEQ" in asked.partition(b")")[0]:
            items.insert(1, b"MODSEQ (%d)" % self.modseqs[letter.uid])
        return (b"* %d FETCH (%s)" % (number, b" ".join(items)),)

    def flag(self, uid: int, modseq: int) -> None:
        """Somebody flags a message."""
        self.letters = tuple(
            Letter(each.uid, each.octets, b"\\Flagged") if each.uid == uid else each
            for each in self.letters
        )
        self.modseqs[uid] = self.highest = modseq


def _lines(server: Scripted) -> list[bytes]:
    return [each.line for each in server.received]


@pytest.mark.quirk(1)
async def test_without_condstore_no_word_of_mod_sequences_is_sent(tmp_path: Path) -> None:
    small = Small(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2, 3}
        small.letters = (*letters(1, flags=b"\\Seen"), *letters(3, 4))
        assert await inbox(account) == {1: {"$seen"}, 3: set(), 4: set()}
        assert not [line for line in _lines(server) if b"MODSEQ" in line or b"CHANGED" in line]


@pytest.mark.quirk(36)
async def test_a_mod_sequence_that_goes_back_makes_all_flags_be_read(tmp_path: Path) -> None:
    small = Counting(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.flag(1, 5)
        assert await inbox(account) == {1: {"$flagged"}, 2: set()}
        assert not any(b"CHANGEDSINCE" in line for line in _lines(server))
        small.flag(2, 6)
        assert await inbox(account) == {1: {"$flagged"}, 2: {"$flagged"}}
        assert any(b"CHANGEDSINCE 5" in line for line in _lines(server))


class NoModseq(Counting):
    """RFC 7162 §3.1.2.2: this mailbox has none, and a FETCH that names them is BAD."""

    def figures(self) -> bytes:
        return Small.figures(self) + b" HIGHESTMODSEQ 0"

    def selected(self) -> Sequence[bytes]:
        return (*Small.selected(self), b"* OK [NOMODSEQ] none here")

    async def fetch(self, peer: Peer, command: Received) -> None:
        if b"MODSEQ" in command.line or b"CHANGEDSINCE" in command.line:
            await peer.send(command.tag + b" BAD no mod-sequences here")
        else:
            await super().fetch(peer, command)


@pytest.mark.quirk(36)
async def test_a_mailbox_without_mod_sequences_is_compared(tmp_path: Path) -> None:
    small = NoModseq(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2}
        small.flag(2, 11)
        assert await inbox(account) == {1: set(), 2: {"$flagged"}}


class Negative(Counting):
    """Zoho."""

    def figures(self) -> bytes:
        return Small.figures(self) + b" HIGHESTMODSEQ -1"

    def selected(self) -> Sequence[bytes]:
        return (*Small.selected(self), b"* OK [HIGHESTMODSEQ -1] ok")


@pytest.mark.quirk(36)
async def test_a_negative_mod_sequence_is_none(tmp_path: Path) -> None:
    small = Negative(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.flag(2, 11)
        assert await inbox(account) == {1: set(), 2: {"$flagged"}}


class Silent(Counting):
    """SmarterMail: rows of CHANGEDSINCE without MODSEQ."""

    def rows(self, number: int, letter: Letter, asked: bytes) -> Sequence[bytes]:
        rows = super().rows(number, letter, asked)
        return [re.sub(rb" MODSEQ \(\d+\)", b"", row) for row in rows]


@pytest.mark.quirk(37)
async def test_changes_without_their_mod_sequence_are_changes(tmp_path: Path) -> None:
    small = Silent(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.flag(2, 11)
        assert await inbox(account) == {1: set(), 2: {"$flagged"}}
        changes = [line for line in _lines(server) if b"CHANGEDSINCE" in line]
        assert changes == [b"UID FETCH 1:2 (UID FLAGS MODSEQ) (CHANGEDSINCE 10)"]


class Resynchronising(Counting):
    """iCloud: ENABLE QRESYNC says OK, and nothing else; `understands` whether it does it."""

    capabilities = b"IMAP4rev1 LITERAL+ ENABLE CONDSTORE QRESYNC"
    enabled = b""
    understands = True

    async def examine(self, peer: Peer, command: Received) -> None:
        if b"(QRESYNC" in command.line and not self.understands:
            await peer.send(command.tag + b" BAD QRESYNC is not enabled")
        else:
            await super().examine(peer, command)

    async def fetch(self, peer: Peer, command: Received) -> None:
        if b"VANISHED" in command.line:
            await peer.send(b"* VANISHED (EARLIER) 1")
        await super().fetch(peer, command)


@pytest.mark.quirk(38)
@pytest.mark.parametrize("understands", [True, False])
async def test_what_a_silent_enable_did_is_found_out_once(
    tmp_path: Path, understands: bool
) -> None:
    small = Resynchronising(*letters(1, 2, 3))
    small.understands = understands
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.letters = small.letters[1:]
        small.flag(3, 12)
        assert await inbox(account) == {2: set(), 3: {"$flagged"}}
        async with account.pool.connection(), account.pool.connection():
            pass
        assert server.connections > 1
        lines = _lines(server)
        assert sum(b"(QRESYNC (1 1))" in line for line in lines) == 1
        assert any(b"VANISHED" in line for line in lines) == understands


class Choosy(Counting):
    """Refuses ENABLE for a word it does not know."""

    capabilities = b"IMAP4rev1 LITERAL+ ENABLE CONDSTORE QRESYNC"

    async def enable(self, peer: Peer, command: Received) -> None:
        if b"QRESYNC" in command.line:
            await peer.send(command.tag + b" BAD unknown")
        else:
            await super().enable(peer, command)


@pytest.mark.quirk(38)
async def test_enable_is_tried_with_fewer_words(tmp_path: Path) -> None:
    small = Choosy(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.flag(2, 11)
        assert await inbox(account) == {1: set(), 2: {"$flagged"}}
        enables = [line for line in _lines(server) if line.startswith(b"ENABLE")]
        assert enables[:2] == [b"ENABLE QRESYNC", b"ENABLE CONDSTORE"]


class Late(Counting):
    """Gmail: HIGHESTMODSEQ tells of a change that can not be read yet."""

    capabilities = b"IMAP4rev1 LITERAL+ ENABLE CONDSTORE X-GM-EXT-1"

    def items(self, letter: Letter, asked: bytes) -> Sequence[bytes]:
        identity = [b"X-GM-MSGID %d" % letter.uid] if b"X-GM-MSGID" in asked else []
        *plain, last = super().items(letter, asked)
        return [*plain, *identity, last]


@pytest.mark.quirk(16)
async def test_a_change_that_comes_after_its_mod_sequence_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Late(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.flag(3, 20)
        assert await inbox(account) == {1: set(), 2: set(), 3: {"$flagged"}}
        small.flag(2, 15)
        small.highest = 20
        monkeypatch.setattr(checker, "LATE_SECONDS", 0.0)
        assert (await inbox(account))[2] == {"$flagged"}
        looks = sum(b"CHANGEDSINCE 10" in line for line in _lines(server))
        assert looks == 2
        account._checker._late.clear()
        await inbox(account)
        assert sum(b"CHANGEDSINCE" in line for line in _lines(server)) == looks


class Stale(Counting):
    """Answers for a selected mailbox as it was when it was selected."""

    def __init__(self, *letters: Letter) -> None:
        super().__init__(*letters)
        self.frozen: dict[Peer, bytes] = {}

    async def examine(self, peer: Peer, command: Received) -> None:
        self.frozen[peer] = self.figures()
        await super().examine(peer, command)

    async def close(self, peer: Peer, command: Received) -> None:
        self.frozen.pop(peer, None)
        await peer.ok(command)

    async def status(self, peer: Peer, command: Received) -> None:
        figures = self.frozen.get(peer, self.figures())
        await peer.ok(command, b"* STATUS INBOX (%s)" % figures)


@pytest.mark.quirk(40)
async def test_the_mailbox_is_left_before_its_figures_are_asked_for(tmp_path: Path) -> None:
    small = Stale(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        for uid, modseq in ((1, 11), (2, 12)):
            small.flag(uid, modseq)
            assert (await inbox(account))[uid] == {"$flagged"}


class Unshifted(Small):
    """Yahoo: the numbers of messages stay as they were after an expunge."""

    async def fetch(self, peer: Peer, command: Received) -> None:
        await peer.send(b"* 1 EXPUNGE", b"* 3 FETCH (FLAGS (\\Deleted))")
        await super().fetch(peer, command)


@pytest.mark.quirk(28)
async def test_numbers_of_messages_mean_nothing(tmp_path: Path) -> None:
    small = Unshifted(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2, 3}
        small.letters = small.letters[1:]
        assert await inbox(account) == {2: set(), 3: set()}
        about_messages = (b"FETCH", b"SEARCH", b"STORE", b"COPY", b"MOVE", b"SORT")
        assert not [each for each in server.received if each.verb in about_messages]
