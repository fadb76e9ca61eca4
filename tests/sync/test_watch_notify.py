"""RFC 5465: servers that refuse NOTIFY, give it up, or go silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.sync import watch_notify, watcher
from tests.servers.mail_server import User
from tests.servers.scripted import Peer, Received, Scripted
from tests.servers.small import Small
from tests.sync.watching import Watching, watching

SECONDS = 20.0
SET = b"NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"


@pytest.fixture(autouse=True)
def _only_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "POLL_SECONDS", 1e6)
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", 1e6)
    monkeypatch.setattr(watcher, "RETRY_FIRST", 0.02)


class Notifying(Small):
    """Has NOTIFY, and tells what a test says it tells."""

    capabilities = b"IMAP4rev1 LITERAL+ ID ENABLE CONDSTORE NAMESPACE NOTIFY IDLE UNSELECT"

    def __init__(self) -> None:
        super().__init__()
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()  # those that are to be notified
        self.idling = asyncio.Event()

    async def enable(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b"* ENABLED CONDSTORE")

    async def namespace(self, peer: Peer, command: Received) -> None:
        await peer.ok(command, b'* NAMESPACE (("" "/")) NIL NIL')

    async def notify(self, peer: Peer, command: Received) -> None:
        await peer.ok(command)
        self.peers.put_nowait(peer)

    async def idle(self, peer: Peer, command: Received) -> None:
        await peer.send(b"+ idling")
        self.idling.set()
        assert await peer.line() == b"DONE"
        await peer.ok(command)

    async def notified(self) -> Peer:
        """The next connection that is to be notified."""
        return await asyncio.wait_for(self.peers.get(), SECONDS)


@asynccontextmanager
async def watched(small: Small) -> AsyncIterator[tuple[Watching, Scripted]]:
    async with (
        Scripted(small) as server,
        watching(server.port, User("someone", "secret")) as watching_it,
    ):
        yield watching_it, server


@pytest.mark.parametrize(
    "event",
    [
        b"* STATUS Sent (MESSAGES 3 UIDNEXT 5 UIDVALIDITY 1)",
        b"* STATUS Sent (HIGHESTMODSEQ 9)",
        b'* LIST () "/" "New" ("OLDNAME" ("Old"))',
        b'* LIST (\\NoAccess) "/" Closed',
        b"* 3 EXISTS",
    ],
)
async def test_whatever_is_told_of_mailboxes_is_a_change(event: bytes) -> None:
    """RFC 5465 §5, §5.9"""
    small = Notifying()
    async with watched(small) as (it, server):
        peer = await small.notified()
        await it.until(vouches=True)
        assert SET in [each.line for each in server.received]
        it.told.clear()
        await peer.send(b"* OK Still here", event)
        await it.change()
        assert it.watch.vouches


async def test_too_much_to_tell_counts_as_a_change_of_everything() -> None:
    """RFC 5465 §5.8: nothing is told after it, so it begins anew on another connection."""
    small = Notifying()
    async with watched(small) as (it, server):
        first = await small.notified()
        await it.until(vouches=True)
        it.told.clear()
        await first.send(b"* OK [NOTIFICATIONOVERFLOW] ouch")
        await it.change()
        second = await small.notified()
        assert second is not first
        await it.change()
        await it.until(vouches=True)
        it.told.clear()
        await second.send(b"* STATUS Sent (MESSAGES 3)")
        await it.change()
        assert [each.line for each in server.received].count(SET) == 2


async def test_overflow_together_with_the_answer_is_noticed() -> None:
    """RFC 5465 §5.8"""

    class Overflowing(Notifying):
        async def notify(self, peer: Peer, command: Received) -> None:
            self.peers.put_nowait(peer)
            late = b"" if self.peers.qsize() > 1 else b"* OK [NOTIFICATIONOVERFLOW] ouch\r\n"
            await peer.send_raw(command.tag + b" OK done\r\n" + late)

    small = Overflowing()
    async with watched(small) as (it, _):
        async with asyncio.timeout(SECONDS):
            while small.peers.qsize() < 2:
                await it.change()
        await it.until(vouches=True)


@pytest.mark.parametrize(
    "refusal",
    [
        b"NO [BADEVENT (MessageNew MessageExpunge)] not all of that",
        b"NO [NOTIFICATIONOVERFLOW] not supported for these mailboxes",
        b"NO no",
        b"BAD what?",
    ],
)
async def test_where_notify_is_refused_the_inbox_is_watched(refusal: bytes) -> None:
    """RFC 5465 §3.1: NO [BADEVENT], NO [NOTIFICATIONOVERFLOW]."""

    class Refusing(Notifying):
        async def notify(self, peer: Peer, command: Received) -> None:
            await peer.send(command.tag + b" " + refusal)

    small = Refusing()
    async with watched(small) as (it, server):
        await asyncio.wait_for(small.idling.wait(), SECONDS)
        assert not it.watch.vouches
        it.watch.active = False
        it.watch.active = True
        await it.change()
        assert [each.line for each in server.received].count(SET) == 1
        assert server.most_open == 1


async def test_a_server_that_is_silently_dead_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9051 §5.4: it is asked now and then, and what it did not tell is asked for."""
    monkeypatch.setattr(watch_notify, "LIFE_SECONDS", 0.02)
    monkeypatch.setattr(watch_notify, "_ANSWER_SECONDS", 0.1)

    class Dying(Notifying):
        lives = 2

        async def noop(self, peer: Peer, command: Received) -> None:
            self.lives -= 1
            if self.lives == 0:
                await peer.gone()
            await peer.ok(command)

    small = Dying()
    async with watched(small) as (it, _):
        await small.notified()
        await it.change()
        await small.notified()
        await it.until(vouches=True)
        await it.change()


async def test_bye_is_not_the_end_of_watching() -> None:
    """RFC 9051 §7.1.5"""
    small = Notifying()
    async with watched(small) as (it, _):
        for _ in range(3):
            peer = await small.notified()
            await it.until(vouches=True)
            it.told.clear()
            await peer.send(b"* BYE restarting")
            await it.change()


async def test_a_server_that_lets_nobody_in_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Design §4: each attempt comes later than the one before."""
    monkeypatch.setattr(watcher, "RETRY_FIRST", 2.0)
    paused: asyncio.Queue[float] = asyncio.Queue()

    async def pause(*events: asyncio.Event, seconds: float) -> bool:
        if seconds < 1e5:
            paused.put_nowait(seconds)
            await asyncio.sleep(0)
            return False
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(watcher, "first_of", pause)

    class Closed(Notifying):
        async def authenticate(self, peer: Peer, command: Received) -> None:
            if self.peers.empty():
                await super().authenticate(peer, command)
                self.peers.put_nowait(peer)
            else:
                await peer.send(b"* BYE [UNAVAILABLE] later")
                peer.abort()

        async def notify(self, peer: Peer, command: Received) -> None:
            peer.abort()

    async with watched(Closed()):
        async with asyncio.timeout(SECONDS):
            pauses = [await paused.get() for _ in range(10)]
    assert all(2.0**n <= pause <= 2.0 ** (n + 1) for n, pause in enumerate(pauses[:8]))
    assert all(pause >= 150.0 for pause in pauses[8:])


# --- accounts that others share -----------------------------------------------------------------


def naming(*wires: bytes) -> bytes:
    """The command that is to be told of these mailboxes, too."""
    events = SET.partition(b"(personal ")[2].removesuffix(b")")
    return SET + b" (mailboxes (%s) %s)" % (b" ".join(wires), events)


async def test_mailboxes_that_others_share_are_named_while_they_are_used() -> None:
    """RFC 5465 §6.6: and what is told of one of them concerns that account alone."""
    small = Notifying()
    async with watched(small) as (it, server):
        await small.notified()
        await it.until(vouches=True)
        bob = it.join(b"shared/bob", b"shared/bob/a b")
        assert not bob.watch.vouches
        bob.watch.active = True
        peer = await small.notified()
        await it.until(vouches=True)
        await bob.until(vouches=True)
        assert server.received[-1].line == naming(b"shared/bob", b'"shared/bob/a b"')
        for line, own, bobs in (
            (b"* STATUS shared/bob (MESSAGES 3)", 0, 1),
            (b"* STATUS INBOX (MESSAGES 3)", 1, 0),
            (b'* LIST () "/" shared/bob/new', 1, 1),
        ):
            it.told.clear()
            bob.told.clear()
            before = it.changes, bob.changes
            await peer.send(line)
            await (it if own else bob).change()
            assert (it.changes - before[0], bob.changes - before[1]) == (own, bobs)


async def test_mailboxes_that_come_to_be_shared_are_named_soon() -> None:
    """RFC 5465 §6.6: the account says when it has others; fewer are no reason for anything."""
    small = Notifying()
    async with watched(small) as (it, server):
        bob = it.join(b"shared/bob", b"shared/bob/a")
        bob.watch.active = True
        while server.received[-1].line != naming(b"shared/bob", b"shared/bob/a"):
            await small.notified()
        await bob.until(vouches=True)
        bob.list(b"shared/bob")
        told = [bob.watch.told_of]
        bob.list(b"shared/bob", b"shared/bob/b")
        told.append(bob.watch.told_of)
        assert told == [{b"shared/bob", b"shared/bob/a"}, None]
        await small.notified()
        await bob.until(vouches=True)
        assert server.received[-1].line == naming(b"shared/bob", b"shared/bob/b")


async def test_of_an_account_with_too_many_mailboxes_nothing_is_told() -> None:
    """RFC 7162 §4: a command line has its limits; the others are told of all the same."""
    small = Notifying()
    async with watched(small) as (it, server):
        many = it.join(*(b"shared/many/%d" % number for number in range(2000)))
        bob = it.join(b"shared/bob")
        many.watch.active = bob.watch.active = True
        while server.received[-1].line != naming(b"shared/bob"):
            await small.notified()
        await bob.until(vouches=True)
        assert not many.watch.vouches


async def test_of_an_inbox_that_dovecot_passes_over_nothing_is_vouched_for() -> None:
    """Dovecot 2.3 with mail_shared_explicit_inbox tells of all others."""
    small = Notifying()
    async with watched(small) as (it, server):
        bob = it.join(b"shared/bob/INBOX", b"shared/bob/a")
        bob.watch.active = True
        while server.received[-1].line != naming(b"shared/bob/INBOX", b"shared/bob/a"):
            peer = await small.notified()
        await it.until(vouches=True)
        assert not bob.watch.vouches
        bob.told.clear()
        await peer.send(b"* STATUS shared/bob/a (MESSAGES 3)")
        await bob.change()
