"""RFC 5465: servers that refuse NOTIFY, give it up, or go silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.sync import watch_notify, watcher
from gateway.sync.watch_notify import outside
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
        assert it.watcher.vouches


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
        assert not it.watcher.vouches
        it.watcher.active = False
        it.watcher.active = True
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


_NAMES = st.sampled_from([b"INBOX", b"INBOX.x", b"user.bob", b"Shared", b"shared/a", b"a", b"NIL"])


@given(st.sets(_NAMES))
def test_without_namespaces_all_mailboxes_are_the_users_own(wires: set[bytes]) -> None:
    """RFC 2342 §5"""
    assert outside(wires, Namespaces()) == []


@given(st.sets(_NAMES))
def test_mailboxes_are_outside_by_their_longest_prefix(wires: set[bytes]) -> None:
    """RFC 2342 §5: as Cyrus has them, where what has no prefix is shared."""
    places = Namespaces(
        personal=(Namespace("INBOX.", "."),),
        other=(Namespace("user.", "."),),
        shared=(Namespace("", "."),),
    )
    assert set(outside(wires, places)) == wires - {b"INBOX", b"INBOX.x"}


def test_prefixes_are_compared_as_the_server_spells_them() -> None:
    """RFC 3501 §5.1.3"""
    places = Namespaces(other=(Namespace("Geräte/", "/"),))
    assert outside([b"Ger&AOQ-te/a", b"Ger"], places) == [b"Ger&AOQ-te/a"]
