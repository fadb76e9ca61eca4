"""RFC 9738, RFC 9586, RFC 7162 §4: servers that do only so much at once, or take short lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.search import uid_search
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode, items, uidsets
from gateway.imap.wire.criteria import ALL, uids
from gateway.imap.wire.sequences import parse_ranges
from tests.imap.sessions import connected
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small, account_of


class Limited(Small):
    """RFC 9738 §3.1: works on the newest of the messages a command is about."""

    limit = 7
    capabilities = b"IMAP4rev1 LITERAL+ ID MESSAGELIMIT=7"
    untagged = False

    async def fetch(self, peer: Peer, command: Received) -> None:
        _, _, uids, asked = command.line.split(b" ", 3)
        indices = [*self._indices(uids)]
        done = indices[-self.limit :]
        rows = [row for i in done for row in self.rows(i + 1, self.letters[i], asked)]
        await self.end(peer, command, rows, len(done) < len(indices), done)

    async def search(self, peer: Peer, command: Received) -> None:
        words = command.line.split(b" ")[1:]
        within = words[words.index(b"UID") + 1] if b"UID" in words else b"1:*"
        indices = [*self._indices(within)]
        done = indices[-self.limit :]
        found = b" ".join(b"%d" % self.letters[i].uid for i in done)
        await self.end(peer, command, [b"* SEARCH " + found], len(done) < len(indices), done)

    async def end(
        self, peer: Peer, command: Received, lines: list[bytes], cut: bool, done: list[int]
    ) -> None:
        if not cut:
            await peer.ok(command, *lines)
            return
        code = b"[MESSAGELIMIT %d %d] " % (self.limit, self.letters[done[0]].uid)
        if self.untagged:
            await peer.ok(command, *lines, b"* NO %scut" % code, code=b"[EXPUNGEISSUED] ")
        else:
            await peer.ok(command, *lines, code=code)


@pytest.mark.quirk(26)
@pytest.mark.parametrize("untagged", [True, False])
@pytest.mark.parametrize("announced", [True, False])
async def test_what_is_cut_short_goes_on_where_it_ended(
    tmp_path: Path, untagged: bool, announced: bool
) -> None:
    small = Limited(*letters(*range(1, 60, 2)))
    small.untagged = untagged
    if not announced:
        small.capabilities = Small.capabilities
    everything = {letter.uid for letter in small.letters}
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == everything
        small.letters = (*letters(1, flags=b"\\Seen"), *small.letters[1:])
        shown = await inbox(account)
        assert set(shown) == everything, "what is not in an answer that is cut short is not gone"
        assert shown[1] == {"$seen"}
        await account.attachments_known()
        assert not [each for each in server.received if b"BODYSTRUCTURE" in each.line][10:]


class Showing(Small):
    """Yahoo's limited mode: of a large mailbox only the newest messages are there at all."""

    capabilities = b"IMAP4rev1 LITERAL+ ID ENABLE UIDONLY MESSAGELIMIT=1000"
    uid_only: frozenset[Peer] = frozenset()

    async def enable(self, peer: Peer, command: Received) -> None:
        self.uid_only |= {peer}
        await peer.ok(command, b"* ENABLED UIDONLY")

    async def fetch(self, peer: Peer, command: Received) -> None:
        """RFC 9586 §3.3: UIDFETCH, with the UID for a number."""
        assert peer in self.uid_only
        _, _, uids, asked = command.line.split(b" ", 3)
        rows = [
            b"* %d UIDFETCH (%s)"
            % (
                self.letters[i].uid,
                b" ".join(e for e in self.items(self.letters[i], asked) if e[:4] != b"UID "),
            )
            for i in self._indices(uids)
        ]
        await peer.ok(command, *rows)


@pytest.mark.quirk(26)
async def test_uids_only_where_that_shows_the_whole_mailbox(tmp_path: Path) -> None:
    small = Showing(*letters(*range(10, 40)))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {*range(10, 40)}
        small.letters = (*small.letters[:-1], *letters(39, flags=b"\\Flagged"))
        small.letters += letters(50)
        shown = await inbox(account)
        assert (shown[39], shown[50]) == ({"$flagged"}, set())
        assert any(each.line == b"ENABLE UIDONLY" for each in server.received)


class Forgetful(Small):
    """Finds only the newest messages, and says in no way that there are others."""

    capabilities = b"IMAP4rev1 LITERAL+ ID MESSAGELIMIT=1000"
    forgets = False

    async def search(self, peer: Peer, command: Received) -> None:
        newest = self.letters[-3:] if self.forgets else self.letters
        await peer.ok(command, b"* SEARCH " + b" ".join(b"%d" % each.uid for each in newest))

    def _indices(self, uids: bytes) -> Iterator[int]:
        first = len(self.letters) - 3 if self.forgets else 0
        return (index for index in super()._indices(uids) if index >= first)


@pytest.mark.quirk(26)
async def test_absence_is_no_deletion_on_a_server_that_limits_what_it_shows(tmp_path: Path) -> None:
    small = Forgetful(*letters(*range(1, 10)))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.forgets = True
        small.letters += letters(10)
        assert set(await inbox(account)) == {*range(1, 11)}


@pytest.mark.quirk(26)
async def test_a_copy_that_is_too_much_is_refused() -> None:
    async def script(peer: Peer) -> None:
        await peer.send((await peer.command()).tag + b" NO [MESSAGELIMIT 1000] FETCH exceeds")

    async with connected(script) as (connection, _):
        with pytest.raises(CommandRefused) as refused:
            await fetch(connection, [1], [items.FLAGS])
        assert refused.value.code == "MESSAGELIMIT"


# --- Lines -------------------------------------------------------------------------------------


class Short(Small):
    """Takes lines of so many octets."""

    most = 1000
    refusal = b"BAD [CLIENTBUG] Command line too large"

    async def authenticate(self, peer: Peer, command: Received) -> None:
        await super().authenticate(peer, command)

    async def fetch(self, peer: Peer, command: Received) -> None:
        if len(command.line) <= self.most:
            await super().fetch(peer, command)
        elif self.refusal:
            await peer.send(command.tag + b" " + self.refusal)
        else:
            peer.abort()


@pytest.mark.quirk(29, 30)
@pytest.mark.parametrize(
    "refusal",
    [
        b"BAD Command line too large",
        b"BAD Too long argument",
        b"BAD Error in IMAP command UID FETCH: Too long argument (0.001 + 0.000 secs).",
        b"BAD command line is too long",
        b"BAD Line too long",
        b"",  # the connection breaks
    ],
)
async def test_a_line_that_is_too_long_is_cut(tmp_path: Path, refusal: bytes) -> None:
    every = {*range(1, 2600, 2)}
    small = Short(*letters(*every))
    small.refusal = refusal
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == every
        fetches = [each.line for each in server.received if b"HEADER.FIELDS" in each.line]
        assert sum(len(line) > small.most for line in fetches) < 12
        for line in fetches:
            _, _, uids, _ = line.split(b" ", 3)
            assert [*parse_ranges(uids)] == sorted(parse_ranges(uids))


@pytest.mark.quirk(29)
@pytest.mark.parametrize(
    ("capabilities", "name", "octets"),
    [
        (b"XYMHIGHESTMODSEQ", b"", 1_000),
        (b"", b"other", 8_192),
        (b"X-GM-EXT-1", b"GImap", 16_000),
        (b"", b"Dovecot", 64_000),
    ],
)
async def test_lines_are_as_long_as_the_server_takes_them(
    capabilities: bytes, name: bytes, octets: int
) -> None:
    sets: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 ID AUTH=PLAIN SASL-IR")
        await peer.ok(await peer.command(), b'* ID ("name" "%s")' % name)
        known = b"[CAPABILITY IMAP4rev1 %s] " % capabilities
        await peer.ok(await peer.command(), code=known)
        while True:
            command = await peer.command()
            sets.append(command.line)
            await peer.ok(command)

    async with Scripted(script) as server:
        connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
        await connection.login(Credentials("u", "p"), "192.0.2.1")
        await fetch(connection, range(1, 60_000, 2), [items.FLAGS])
        connection.lost(None)
    assert max(map(len, sets)) <= octets
    assert max(map(len, sets)) > octets * 0.7
    assert sum(line.count(b",") + 1 for line in sets) == 30_000


@pytest.mark.quirk(30)
@given(st.sets(st.integers(1, 4000), max_size=200), st.sets(st.integers(1, 4000)))
def test_halves_are_the_whole(asked: set[int], received: set[int]) -> None:
    """Whatever came is not asked for again, and nothing that did not come is forgotten."""
    for packed in encode.pack_uids(sorted(asked)):
        pieces = uidsets.halves(packed, received)
        if pieces is None:
            assert len(asked - received) == len(asked) == 1
            continue
        left = [
            n
            for piece in pieces
            for first, last in parse_ranges(piece)
            for n in range(first, last + 1)
        ]
        assert sorted(left) == sorted(asked - received)
        assert len(pieces) <= 2


@pytest.mark.quirk(26)
@given(st.sets(st.integers(1, 4000), min_size=1, max_size=200), st.integers(1, 4001))
def test_below_is_what_is_lower(asked: set[int], uid: int) -> None:
    (packed,) = encode.pack_uids(sorted(asked))
    spans = [span for piece in uidsets.below(packed, uid) for span in parse_ranges(piece)]
    assert {n for first, last in spans for n in range(first, last + 1)} == {
        n for n in asked if n < uid
    }


@pytest.mark.quirk(26)
async def test_a_search_goes_on_with_the_same_words() -> None:
    async def script(peer: Peer) -> None:
        command = await peer.command()
        assert command.line == b"UID SEARCH UID 5:9"
        await peer.ok(command, b"* SEARCH 9 7", code=b"[MESSAGELIMIT 2 7] ")
        command = await peer.command()
        assert command.line == b"UID SEARCH UID 1:6 UID 5:9"
        await peer.ok(command, b"* SEARCH 5")
        command = await peer.command()
        assert command.line == b"UID SEARCH ALL"
        await peer.ok(command, b"* SEARCH 2 1", code=b"[MESSAGELIMIT 2 1] ")

    async with connected(script) as (connection, _):
        assert await uid_search(connection, uids(b"5:9")) == [5, 7, 9]
        assert await uid_search(connection, ALL) == [1, 2]
