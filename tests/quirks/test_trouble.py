"""RFC 9051 §7.1: messages a server can not give, and servers that want to be left alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from gateway.imap import pool as pool_module
from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.noop import Noop
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import CommandRefused, ConnectionLost, ImapError, ServerBusy
from gateway.imap.pool import Pool
from gateway.imap.wire import framer, items
from gateway.mail.backend import unavailable
from gateway.sync.trouble import MAX_TRIES
from tests.mail.client import Client
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Letter, Small, account_of

MANY = range(1, 101)


class Spoilt(Small):
    """Cannot give some messages: what happens when one of them is asked for is `spoil`'s."""

    bad: frozenset[int] = frozenset({37})

    async def fetch(self, peer: Peer, command: Received) -> None:
        asked = {self.letters[i].uid for i in self._indices(command.line.split(b" ")[2])}
        if asked & self.bad and self.is_spoilt(command.line):
            await self.spoil(peer, command)
        else:
            await super().fetch(peer, command)

    def is_spoilt(self, line: bytes) -> bool:
        return b"HEADER.FIELDS" in line

    async def spoil(self, peer: Peer, command: Received) -> None:
        """Yahoo."""
        await peer.send(command.tag + b" NO [UNAVAILABLE] UID FETCH Server error")


class Withholding(Spoilt):
    """Exchange says OK, and leaves the message out."""

    async def spoil(self, peer: Peer, command: Received) -> None:
        whole, self.letters = self.letters, tuple(e for e in self.letters if e.uid not in self.bad)
        await Small.fetch(self, peer, command)
        self.letters = whole


class Partial(Withholding):
    """Exchange gives what it has and says NO to the rest, which then is gone."""

    async def spoil(self, peer: Peer, command: Received) -> None:
        self.letters = tuple(each for each in self.letters if each.uid not in self.bad)
        wanted = [self.letters[i] for i in self._indices(command.line.split(b" ")[2])]
        rows = [row for each in wanted for row in self.rows(each.uid, each, command.line)]
        refusal = b" NO Some of the requested messages no longer exist."
        await peer.send(*rows, command.tag + refusal)


class Fatal(Spoilt):
    """Falls over."""

    async def spoil(self, peer: Peer, command: Received) -> None:
        peer.abort()


class Endless(Spoilt):
    """Answers with a line that no memory should hold."""

    async def spoil(self, peer: Peer, command: Received) -> None:
        await peer.send_raw(b"* 1 FETCH (UID 37 FLAGS (" + b"x" * (framer.MAX_LINE + 10))


def _asked_for(server: Scripted, uid: int) -> int:
    """How often a message was asked for by itself."""
    return sum(each.line.startswith(b"UID FETCH %d (" % uid) for each in server.received)


@pytest.mark.quirk(27, 11)
@pytest.mark.parametrize("kind", [Spoilt, Withholding, Fatal, Endless])
async def test_a_message_that_can_not_be_had_keeps_no_other_from_being_shown(
    tmp_path: Path, kind: type[Spoilt]
) -> None:
    small = kind(*letters(*MANY))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {*MANY} - {37}
        for uid in (101, 102, 103, 104):
            small.letters += letters(uid)
            assert set(await inbox(account)) == {*MANY, *range(101, uid + 1)} - {37}
        once = _asked_for(server, 37)
        assert once <= MAX_TRIES
        small.letters += letters(105)
        await inbox(account)
        assert _asked_for(server, 37) == once, "it is remembered"


@pytest.mark.quirk(27, 11)
@pytest.mark.parametrize("kind", [Spoilt, Withholding, Fatal, Endless])
async def test_new_mail_that_can_not_be_had_keeps_no_other_from_being_shown(
    tmp_path: Path, kind: type[Spoilt]
) -> None:
    small = kind(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.letters += letters(37)
        assert set(await inbox(account)) == {1, 2}
        small.letters += letters(38)
        assert set(await inbox(account)) == {1, 2, 38}
        small.letters = small.letters[1:]
        assert set(await inbox(account)) == {2, 38}


@pytest.mark.quirk(11)
async def test_what_could_not_be_had_once_is_shown_when_it_can(tmp_path: Path) -> None:
    small = Withholding(*letters(*MANY))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.bad = frozenset()
        small.letters += letters(101)
        assert set(await inbox(account)) == {*MANY, 101}


class Stub(Spoilt):
    """Exchange sends a stub of its own in place of a message that it can not convert."""

    def section(self, letter: Letter, name: bytes) -> bytes:
        stub = (
            b"From: Microsoft Exchange Server\r\nSubject: Retrieval using the IMAP4 protocol failed"
            b" for the following message: 37\r\n\r\nThe server couldn't retrieve it.\r\n"
        )
        if letter.uid not in self.bad:
            return super().section(letter, name)
        header, _, body = stub.partition(b"\r\n\r\n")
        return header + b"\r\n\r\n" if name.startswith(b"HEADER") else body

    def is_spoilt(self, line: bytes) -> bool:
        return False


@pytest.mark.quirk(11)
async def test_a_stub_is_shown_as_it_is(tmp_path: Path) -> None:
    small = Stub(*letters(36, 37, 38))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        subjects = [email["subject"] for email in await client.emails(properties=["subject"])]
        assert len(subjects) == 3
        assert any("IMAP4 protocol failed" in subject for subject in subjects)


class NoStructure(Spoilt):
    """Gives no BODYSTRUCTURE of some messages."""

    def is_spoilt(self, line: bytes) -> bool:
        return b"BODYSTRUCTURE" in line


class DeadlyStructure(NoStructure, Fatal):
    """Falls over a BODYSTRUCTURE."""


@pytest.mark.quirk(27, 11)
@pytest.mark.parametrize("kind", [NoStructure, DeadlyStructure])
async def test_attachments_are_known_although_some_structure_can_not_be_had(
    tmp_path: Path, kind: type[Spoilt]
) -> None:
    small = kind(*letters(*range(1, 60)))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        await account.attachments_known()
        emails = account.data.emails
        assert emails.attachment[: emails.size].tolist() == [0] * 59
        assert _asked_for(server, 37) <= 2 * MAX_TRIES


@pytest.mark.quirk(3)
async def test_rows_before_a_refusal_count(tmp_path: Path) -> None:
    small = Partial(*letters(*MANY))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {*MANY} - {37}
        fetches = [each.line for each in server.received if b"HEADER.FIELDS" in each.line]
        assert len(fetches) == 2, "what did not come is asked for once more, in one go"


class PartialFlags(Partial):
    """The same for flags, of which a refusal leaves some out that are not gone at all."""

    refuse = False

    def is_spoilt(self, line: bytes) -> bool:
        return self.refuse and line.endswith(b"(UID FLAGS)")

    async def spoil(self, peer: Peer, command: Received) -> None:
        rows = [b"* 1 FETCH (UID 1 FLAGS (\\Seen))"] if b" 1:" in command.line else []
        await peer.send(*rows, command.tag + b" NO Some of the requested messages no longer exist.")


@pytest.mark.quirk(3, 26)
async def test_what_is_missing_in_a_refused_answer_is_not_gone(tmp_path: Path) -> None:
    small = PartialFlags(*letters(1, 37, 60_000))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.refuse = True
        assert await inbox(account) == {1: {"$seen"}, 37: set(), 60_000: set()}


@pytest.mark.quirk(3)
async def test_messages_that_are_gone_are_not_found(tmp_path: Path) -> None:
    """RFC 8620 §5.1: the others are answered."""
    small = Partial(*letters(36, 37, 38))
    small.bad = frozenset()
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        ids = await client.query()
        await account.attachments_known()  # of which all structures are read
        small.bad = frozenset({37})
        small.is_spoilt = lambda line: b"BODYSTRUCTURE" in line  # type: ignore[method-assign]
        account.data.structures.truncate(0)
        got = await client.call("Email/get", ids=ids, properties=["bodyStructure"])
        assert (len(got["list"]), len(got["notFound"])) == (2, 1)


@pytest.mark.quirk(27)
async def test_a_server_that_refuses_everything_is_not_asked_for_every_message(
    tmp_path: Path,
) -> None:
    class Refusing(Spoilt):
        bad = frozenset(MANY)

    small = Refusing(*letters(*MANY))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await account.fresh()
        item = items.section("HEADER.FIELDS", fields=["To"])
        async with account.pool.connection(b"INBOX") as connection:
            with pytest.raises(CommandRefused):
                await fetch(connection, MANY, [item])
        fetches = [each for each in server.received if b"(To)" in each.line]
        assert len(fetches) < 40


# --- Throttling --------------------------------------------------------------------------------


class Throttled(Small):
    """Exchange: refuses so many commands of a kind with a hint."""

    refusals = 1
    hint = b"BAD Request is throttled. Suggested Backoff Time: 20 milliseconds"
    verb = b"UID FETCH"

    async def throttle(self, peer: Peer, command: Received) -> bool:
        if not command.line.startswith(self.verb) or not self.refusals:
            return False
        self.refusals -= 1
        await peer.send(b"%s %s" % (command.tag, self.hint))
        return True

    async def fetch(self, peer: Peer, command: Received) -> None:
        if not await self.throttle(peer, command):
            await super().fetch(peer, command)

    async def list(self, peer: Peer, command: Received) -> None:
        if not await self.throttle(peer, command):
            await super().list(peer, command)


@pytest.mark.quirk(2)
@pytest.mark.parametrize("verb", [b"UID FETCH", b"LIST"])
async def test_a_short_pause_is_waited_out_and_nothing_is_lost(tmp_path: Path, verb: bytes) -> None:
    small = Throttled(*letters(1, 2, 3))
    small.refusals = 0
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        small.verb, small.refusals = verb, 1
        assert set(await inbox(account)) == {1, 2, 3}
        assert not small.refusals


@pytest.mark.quirk(2)
async def test_a_long_pause_is_told_to_all_at_once(tmp_path: Path) -> None:
    small = Throttled(*letters(1, 2, 3))
    small.refusals = 0
    small.hint = b"BAD Request is throttled. Suggested Backoff Time: 299000 milliseconds"
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        small.verb, small.refusals = b"LIST", 1
        with pytest.raises(ServerBusy) as busy:
            await account.fresh()
        assert unavailable(busy.value).type == "serverUnavailable"
        asked = len(server.received)
        for _ in range(3):
            with pytest.raises(ServerBusy):
                await account.fresh()
        assert len(server.received) == asked, "the server is left alone"
        account.pool._not_before = 0.0  # the pause is over
        assert set(await inbox(account)) == {1, 2, 3}


@pytest.mark.quirk(2)
async def test_without_a_hint_the_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_BACKOFF_FIRST", 100.0)
    monkeypatch.setattr(pool_module, "_BACKOFF_LAST", 30.0 * 100)

    pauses = []
    async with _pooled(b"NO Request is throttled.") as (pool, _):
        for _ in range(7):
            pool._not_before = 0.0
            now = asyncio.get_running_loop().time()
            await _told(pool)
            pauses.append(pool._not_before - now)
    assert all(50 * 2**n <= pause for n, pause in enumerate(pauses[:5]))
    assert max(pauses) <= 3000 + 1


@pytest.mark.quirk(2, 23)
async def test_quirks_are_not_concluded_from_a_throttled_command(tmp_path: Path) -> None:
    class Searching(Throttled):
        capabilities = b"IMAP4rev1 LITERAL+ ID ESEARCH"
        verb = b"UID SEARCH"

        async def search(self, peer: Peer, command: Received) -> None:
            if not await self.throttle(peer, command):
                await super().search(peer, command)

    small = Searching(*letters(1, 2, 3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2, 3}
        searches = [each.line for each in server.received if b"SEARCH" in each.line]
        assert searches == [b"UID SEARCH RETURN (ALL) ALL"] * 2


class _pooled:  # noqa: N801 -- a context manager
    """A pool whose server answers NOOP with a refusal."""

    def __init__(self, refusal: bytes) -> None:
        async def script(peer: Peer) -> None:
            await peer.accept_login()
            while True:
                command = await peer.command()
                await peer.send(b"%s %s" % (command.tag, refusal))

        self._server = Scripted(script)

    async def __aenter__(self) -> tuple[Pool, Scripted]:
        server = await self._server.__aenter__()

        async def connect() -> Connection:
            connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
            await connection.login(Credentials("u", "p"), "192.0.2.1")
            return connection

        self._pool = Pool(connect)
        return self._pool, server

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        await self._server.__aexit__(None, None, None)


async def _told(pool: Pool) -> ImapError:
    with pytest.raises(ImapError) as told:
        async with pool.connection() as lent:
            await lent.run(Noop())
    return told.value


@pytest.mark.quirk(23)
async def test_after_too_many_octets_the_server_is_left_alone_for_long() -> None:
    refusal = b"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
    async with _pooled(refusal) as (pool, server):
        now = asyncio.get_running_loop().time()
        assert isinstance(await _told(pool), ServerBusy)
        assert pool._not_before - now >= 300
        asked = len(server.received)
        assert isinstance(await _told(pool), ServerBusy)
        assert len(server.received) == asked
        for _ in range(10):
            pool._not_before = 0.0
            await _told(pool)
        assert 3600 < pool._not_before - now <= 4 * 3600 + 60


@pytest.mark.quirk(23, 25)
@pytest.mark.parametrize(
    "refusal",
    [
        b"NO [ALERT] Too many simultaneous connections. (Failure)",
        b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded "
        b"(mail_max_userip_connections=1)",
    ],
)
async def test_who_gets_no_further_connection_waits_for_the_one_there_is(refusal: bytes) -> None:
    async def script(peer: Peer) -> None:
        if server.open > 1:
            await peer.greet()
            await peer.send((await peer.command()).tag + b" " + refusal)
        else:
            await peer.accept_login()
        await peer.obey()

    async with Scripted(script) as server:

        async def connect() -> Connection:
            connection = await Connection.open(Endpoint("127.0.0.1", server.port, "plain"), None)
            try:
                await connection.login(Credentials("u", "p"), "192.0.2.1")
            except BaseException:
                await connection.close()
                raise
            return connection

        async def use() -> None:
            async with pool.connection() as lent:
                await lent.run(Noop())

        pool = Pool(connect, size=3)
        await asyncio.gather(*(use() for _ in range(12)))
        assert sum(each.verb == b"NOOP" for each in server.received) == 12
        await pool.close()


@pytest.mark.quirk(23)
async def test_one_account_has_two_connections_at_most(tmp_path: Path) -> None:
    small = Small(*letters(*MANY))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await asyncio.gather(*(inbox(account) for _ in range(10)))
        assert server.most_open <= 2


@pytest.mark.quirk(60)
async def test_a_giant_is_never_read_in_one_piece(tmp_path: Path) -> None:
    giant = Letter(2, letters(2)[0].octets + b"x" * 9_000_000 + b"\r\n")
    small = Small(*letters(1), giant, *letters(3))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        emails = await client.emails(properties=["size", "preview", "subject"])
        assert {email["size"] for email in emails} >= {len(giant.octets)}
        got = await client.call(
            "Email/get",
            ids=[email["id"] for email in emails],
            properties=["bodyValues"],
            fetchAllBodyValues=True,
            maxBodyValueBytes=100,
        )
        assert len(got["list"]) == 3
        for each in server.received:
            for window in re.findall(rb"BODY\.PEEK\[[^]]*\](<\d+\.(\d+)>)?", each.line):
                assert window[0], each.line
                assert int(window[1]) <= 1 << 20


@pytest.mark.quirk(4)
async def test_a_line_without_a_tag_ends_the_connection_and_no_more(tmp_path: Path) -> None:
    """Exchange: "Server Unavailable."."""

    class Falling(Small):
        falls = 0

        async def status(self, peer: Peer, command: Received) -> None:
            if self.falls:
                self.falls -= 1
                await peer.send(b"Server Unavailable. 15")
            else:
                await super().status(peer, command)

    small = Falling(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        small.falls = 1
        assert set(await inbox(account)) == {1, 2}


def test_a_lost_connection_is_told_as_an_unavailable_server() -> None:
    assert unavailable(ConnectionLost("x")).type == "serverUnavailable"
