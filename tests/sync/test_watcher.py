"""RFC 5465 (NOTIFY), RFC 2177 (IDLE): changes are told of as they happen, on every step of the
ladder and across what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import pytest

from gateway.imap.commands.noop import Noop
from gateway.sync import watcher
from tests.servers.dovecot import Dovecot, User
from tests.servers.mail_server import MailServer, expect_ok
from tests.sync.letters import letter
from tests.sync.watching import SECONDS, Watching, watching

Change: TypeAlias = Callable[[MailServer, User], None]

NEVER = 1e6


@pytest.fixture(autouse=True)
def _only_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock, and lost connections are made again at once."""
    monkeypatch.setattr(watcher, "POLL_SECONDS", NEVER)
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", NEVER)
    monkeypatch.setattr(watcher, "RETRY_FIRST", 0.02)
    monkeypatch.setattr(watcher, "RETRY_LAST", 0.1)


@pytest.fixture
def user(server: MailServer) -> User:
    """Give a user with messages in two mailboxes."""
    user = server.add_user()
    server.create(user, "Projects")
    for mailbox in ("INBOX", "Projects"):
        server.append_all(user, mailbox, [letter(1), letter(2)])
    return user


def arrives(mailbox: str) -> Change:
    def change(server: MailServer, user: User) -> None:
        server.append_all(user, mailbox, [letter(9)])

    return change


def is_read(mailbox: str) -> Change:
    def change(server: MailServer, user: User) -> None:
        with server.imap(user) as client:
            client.select(mailbox)
            expect_ok(client.uid("STORE", "1", "+FLAGS", "(\\Seen)"))

    return change


def is_expunged(mailbox: str) -> Change:
    def change(server: MailServer, user: User) -> None:
        with server.imap(user) as client:
            client.select(mailbox)
            expect_ok(client.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)"))
            expect_ok(client.expunge())

    return change


def mailbox(verb: str, *names: str) -> Change:
    def change(server: MailServer, user: User) -> None:
        with server.imap(user) as client:
            expect_ok(getattr(client, verb)(*names))

    return change


CHANGES = {
    "new-in-inbox": arrives("INBOX"),
    "new": arrives("Projects"),
    "read-in-inbox": is_read("INBOX"),
    "read": is_read("Projects"),
    "expunged": is_expunged("Projects"),
    "created": mailbox("create", "New"),
    "renamed": mailbox("rename", "Projects", "Things"),
    "deleted": mailbox("delete", "Projects"),
    "subscribed": mailbox("subscribe", "INBOX"),
    "unsubscribed": mailbox("unsubscribe", "Projects"),
}


async def tells(watched: Watching, change: Change, server: MailServer, user: User) -> None:
    """Fail unless the watcher tells of a change, when all before it was told."""
    watched.told.clear()
    await asyncio.to_thread(change, server, user)
    await watched.change()


# --- NOTIFY ------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("server", ["everything", "no-qresync", "maildir"], indirect=True)
async def test_notify_tells_of_every_change_in_every_mailbox(
    change: Change, server: MailServer, user: User
) -> None:
    """RFC 5465 §5"""
    async with watching(server.imap_port, user) as watched:
        await watched.until(vouches=True)
        await tells(watched, change, server, user)
        assert watched.watch.vouches


async def test_notify_tells_of_mailboxes_that_others_share(
    start_dovecot: Callable[..., Dovecot],
) -> None:
    """RFC 5465 §6.6: they are named one by one."""
    server = start_dovecot(acl=True)
    ann, bob = server.add_user(), server.add_user()
    server.create(bob, "Team")
    with server.imap(bob) as client:
        expect_ok(client.setacl("Team", ann.username, "lrswit"))
        expect_ok(client.setacl("INBOX", ann.username, "lr"))
    async with watching(server.imap_port, ann) as watched:
        await watched.until(vouches=True)
        shared = f"shared/{bob.username}".encode()
        other = watched.join(shared, shared + b"/Team")
        other.watch.active = True
        await other.until(vouches=True)
        await watched.until(vouches=True)
        for change in (arrives("Team"), arrives("INBOX")):
            other.told.clear()
            change(server, bob)
            await other.change()
        await tells(watched, arrives("INBOX"), server, ann)


async def test_a_connection_with_an_open_mailbox_leaves_it_to_be_notified(
    server: MailServer, user: User
) -> None:
    """RFC 5465 §6.1: of a selected mailbox nothing would be told."""
    async with watching(server.imap_port, user, active=False) as watched:
        connection = await watched.on_inbox()
        watched.watch.active = True
        await watched.until(vouches=True)
        assert connection.selected is None
        assert watched.pool.count == 1
        await tells(watched, is_read("INBOX"), server, user)


# --- IDLE --------------------------------------------------------------------------------------

_INBOX = {"new": arrives("INBOX"), "read": is_read("INBOX"), "expunged": is_expunged("INBOX")}


@pytest.mark.parametrize("change", _INBOX.values(), ids=_INBOX)
@pytest.mark.parametrize("server", ["everything", "no-qresync", "no-condstore"], indirect=True)
@pytest.mark.parametrize("active", [False, True])
async def test_a_change_of_the_inbox_is_told(
    change: Change, active: bool, server: MailServer, user: User
) -> None:
    """RFC 2177; without mod-sequences NOTIFY tells nothing of flags (RFC 5465 §5.1)."""
    async with watching(server.imap_port, user, active=active) as watched:
        await watched.change()
        if not active:
            await watched.on_inbox()
            assert not watched.watch.vouches
        await tells(watched, change, server, user)


@pytest.mark.parametrize("change", _INBOX.values(), ids=_INBOX)
async def test_without_notify_the_inbox_is_watched(
    change: Change, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 2177"""
    server = start_dovecot(without=("NOTIFY",))
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1)])
    async with watching(server.imap_port, user) as watched:
        await watched.on_inbox()
        await tells(watched, change, server, user)
        assert not watched.watch.vouches


@pytest.mark.parametrize("server", ["cyrus", "cyrus-no-condstore"], indirect=True)
async def test_cyrus_tells_of_the_inbox(server: MailServer, user: User) -> None:
    """RFC 2177: Cyrus 3.6 has no NOTIFY."""
    async with watching(server.imap_port, user) as watched:
        await watched.on_inbox()
        await tells(watched, arrives("INBOX"), server, user)
        await tells(watched, is_read("INBOX"), server, user)


# --- looking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("without", [("NOTIFY",), ("NOTIFY", "IDLE")])
async def test_what_nobody_tells_is_looked_for(
    without: tuple[str, ...],
    start_dovecot: Callable[..., Dovecot],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Design §6, freshness"""
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.02)
    server = start_dovecot(without=without)
    async with watching(server.imap_port, server.add_user()) as watched:
        for _ in range(4):
            await watched.change()
        assert watched.pool.count == 1


async def test_the_only_connection_of_an_account_is_not_kept_for_watching(
    server: MailServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §4: what the user asks for comes first."""
    monkeypatch.setattr(watcher, "POLL_SECONDS", 0.02)
    async with watching(server.imap_port, user, connections=1) as watched:
        for _ in range(3):
            await watched.change()
            async with watched.pool.connection(deadline=1.0):
                pass
        assert not watched.watch.vouches


async def test_a_server_that_reports_events_has_no_connection_of_the_watcher(
    server: MailServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5423: events may be lost, so it is looked now and then, and nothing is vouched for."""
    monkeypatch.setattr(watcher, "SAFETY_SECONDS", 0.02)
    async with watching(server.imap_port, user, server_events=True) as watched:
        for _ in range(3):
            await watched.change()
        assert len(watched.connections) == 1  # the one that read the mailboxes
        assert not watched.connections[0].busy
        assert not watched.watch.vouches


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("active", [True, False])
async def test_a_lost_connection_is_made_again(
    active: bool, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 9051 §7.1.5: after BYE, what happened meanwhile is asked for."""
    server = start_dovecot()
    user = server.add_user()
    async with watching(server.imap_port, user, active=active) as watched:
        await (watched.until(vouches=True) if active else watched.on_inbox())
        lost = [each for each in watched.connections if not each.closed]
        await asyncio.to_thread(server.doveadm, "kick", user.username)
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.ended.wait() for each in lost))
        watched.told.clear()
        await watched.change()
        await (watched.until(vouches=True) if active else watched.on_inbox())
        await tells(watched, arrives("INBOX"), server, user)


@pytest.mark.parametrize("active", [True, False])
async def test_a_restart_of_the_server_is_survived(
    active: bool, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 9051 §7.1.5: nothing is vouched for while the server is away."""
    server = start_dovecot()
    user = server.add_user()
    async with watching(server.imap_port, user, active=active) as watched:
        await (watched.until(vouches=True) if active else watched.on_inbox())
        await asyncio.to_thread(server.stop)
        await watched.until(vouches=False)
        await asyncio.to_thread(server.start)
        await (watched.until(vouches=True) if active else watched.on_inbox())
        await tells(watched, arrives("INBOX"), server, user)


async def test_no_change_is_lost_when_somebody_comes_or_goes(
    server: MailServer, user: User
) -> None:
    """RFC 5465 §3.1: what happens between two ways of watching is asked for afterwards."""
    async with watching(server.imap_port, user, active=False) as watched:
        for _ in range(3):
            await watched.on_inbox()
            await tells(watched, arrives("INBOX"), server, user)
            watched.watch.active = True
            await watched.until(vouches=True)
            await tells(watched, arrives("Projects"), server, user)
            before = watched.changes
            watched.watch.active = False
            await watched.until(vouches=False)
            await watched.on_inbox()
            await watched.change()
            assert watched.changes > before
        assert watched.pool.count == 1


async def test_a_watcher_that_ends_leaves_no_connection_that_tells(
    server: MailServer, user: User
) -> None:
    """RFC 5465 §3.1: whoever had the connection next would take the news for answers."""
    async with watching(server.imap_port, user) as watched:
        await watched.until(vouches=True)
        [connection] = (each for each in watched.connections if not each.closed)
    assert connection.closed
    assert not watched.watch.vouches


@pytest.mark.parametrize("failures", range(1, 40))
def test_lost_connections_are_made_again_ever_more_slowly(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §4: back off with jitter."""
    monkeypatch.setattr(watcher, "RETRY_FIRST", 2.0)
    monkeypatch.setattr(watcher, "RETRY_LAST", 300.0)
    pauses = {watcher._pause(failures) for _ in range(20)}
    longest = min(300.0, 2.0 * 2 ** (failures - 1))
    assert all(longest / 2 <= each <= longest for each in pauses)
    assert len(pauses) > 1


@pytest.mark.parametrize("active", [True, False])
async def test_where_only_one_connection_is_allowed_it_is_not_kept_for_watching(
    active: bool, start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 5530 LIMIT: the user's other programs have the others."""
    server = start_dovecot(max_userip_connections=1)
    user = server.add_user()
    async with watching(server.imap_port, user, active=active) as watched:
        await (watched.until(vouches=True) if active else watched.on_inbox())
        for _ in range(3):
            async with watched.pool.connection(b"Sent", deadline=SECONDS) as connection:
                await connection.run(Noop())
        assert not watched.watch.vouches
