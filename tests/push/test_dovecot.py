"""RFC 8620 §7: from a change on a real IMAP server to the event that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Set
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from aiohttp import ClientSession

from gateway.app import running
from gateway.http import eventsource
from gateway.obs.metrics import ACTIVE_ACCOUNTS
from gateway.sync import accounts
from tests.app.harness import Client, client_of, settings
from tests.push.reader import SECONDS, Event, Reader
from tests.servers.dovecot import Dovecot, User
from tests.servers.mail_server import expect_ok
from tests.servers.redis import Redis

NEW_MAIL = frozenset({"Email", "EmailDelivery", "Mailbox", "Thread"})


def letter(number: int) -> bytes:
    return (
        f"From: ann@example.test\r\nSubject: {number}\r\nMessage-ID: <{number}@example.test>\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
    ).encode()


class Watching(Client):
    """A client that opens streams; they end with the session of HTTP."""

    @classmethod
    def of(cls, client: Client, user: User) -> Watching:
        return cls(client.http, client.url, user)

    async def open(
        self, types: str = "*", closeafter: str = "no", ping: int = 0, last: str | None = None
    ) -> Reader:
        """Connect as a client does that knows the current states, or those of an event."""
        headers = {} if last is None else {"Last-Event-ID": last}
        url = (await self.session())["eventSourceUrl"]
        for name, value in {"types": types, "closeafter": closeafter, "ping": str(ping)}.items():
            url = url.replace(f"{{{name}}}", value)
        reader = Reader(await self.http.get(url, headers={**self.headers, **headers}))
        if last is None:
            await reader.opened()  # of an account that is new here the first look may be told
        return reader

    async def heard(self, reader: Reader, types: Set[str]) -> dict[str, str]:
        """Wait until these types are told of, with the states that Foo/get returns (§7.1)."""
        told: dict[str, str] = {}
        while not types <= set(told) or not (await self.states(told)).items() <= told.items():
            changed = await reader.state()
            assert set(changed) == {self.account_id}
            told |= changed[self.account_id]
        return told

    async def states(self, types: Iterable[str]) -> dict[str, str]:
        """What Foo/get returns; EmailDelivery has none."""
        return {
            type: (await self.call(f"{type}/get", ids=[]))["state"]
            for type in types
            if type != "EmailDelivery"
        }


@pytest.fixture
async def client(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watching]:
    """Give a client of a new gateway, for a user with a message and a mailbox, all indexed."""
    monkeypatch.setattr(accounts, "_SWEEP_SECONDS", 0.05)
    dovecot.append(mailuser, "INBOX", letter(0))
    dovecot.create(mailuser, "Lists")
    async with client_of(settings(dovecot, tmp_path), mailuser) as client:
        await client.call("Email/query", sort=[{"property": "subject"}])
        yield Watching.of(client, mailuser)


def flag(server: Dovecot, user: User, name: str) -> None:
    """Set a flag of the oldest message of the inbox."""
    with server.imap(user) as imap:
        imap.select("INBOX")
        status, _ = imap.store("1", "+FLAGS", f"({name})")
        assert status == "OK"


async def indexed(client: Client, user: User) -> str:
    """Wait until the account is indexed; give the id with which a stream begins then."""
    await client.call("Email/query", sort=[{"property": "subject"}])
    reader = await Watching.of(client, user).open()
    reader.response.close()
    return reader.parser.last_event_id


# --- What is told of ------------------------------------------------------------------------------


@pytest.mark.checklist("K01", "K02", "K03", "K16")
@pytest.mark.parametrize("mailbox", ["INBOX", "Lists"])
async def test_new_mail(client: Watching, dovecot: Dovecot, mailuser: User, mailbox: str) -> None:
    reader = await client.open()
    dovecot.append(mailuser, mailbox, letter(1))
    assert set(await client.heard(reader, NEW_MAIL)) == NEW_MAIL


@pytest.mark.checklist("K02", "K03")
async def test_delivered_mail(client: Watching, dovecot: Dovecot, mailuser: User) -> None:
    """By LMTP, as mail comes."""
    reader = await client.open(types="EmailDelivery")
    for number in (1, 2):
        dovecot.deliver(mailuser, letter(number))
        assert set((await reader.state())[client.account_id]) == {"EmailDelivery"}


@pytest.mark.checklist("K02", "K03")
async def test_flag(client: Watching, dovecot: Dovecot, mailuser: User) -> None:
    """A message that was read is no delivery; the unread counts are the Mailbox's."""
    reader = await client.open()
    flag(dovecot, mailuser, r"\Seen")
    assert set(await client.heard(reader, {"Email", "Mailbox"})) == {"Email", "Mailbox"}
    flag(dovecot, mailuser, "$Forwarded")
    assert set(await client.heard(reader, {"Email"})) == {"Email"}


@pytest.mark.checklist("K02", "K03")
@pytest.mark.parametrize("verb", ["MOVE", "COPY"])
async def test_message_that_goes_to_another_mailbox(
    client: Watching, dovecot: Dovecot, mailuser: User, verb: str
) -> None:
    """RFC 8621 §1.5: it is an Email already, so it is no delivery; nor is its Thread another."""
    reader = await client.open()
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        status, _ = imap.uid(verb, "1", "Lists")
        assert status == "OK"
    assert set(await client.heard(reader, {"Email", "Mailbox"})) == {"Email", "Mailbox"}


@pytest.mark.checklist("K03")
@pytest.mark.parametrize(
    ("verb", "names"),
    [
        ("CREATE", ("New",)),
        ("RENAME", ("Lists", "New")),
        ("DELETE", ("Lists",)),
        ("UNSUBSCRIBE", ("Lists",)),
    ],
)
async def test_mailbox(
    client: Watching, dovecot: Dovecot, mailuser: User, verb: str, names: tuple[str, ...]
) -> None:
    """RFC 8621 §2: none of this changes an Email."""
    reader = await client.open()
    with dovecot.imap(mailuser) as imap:
        expect_ok(imap._simple_command(verb, *names))
    assert set(await client.heard(reader, {"Mailbox"})) == {"Mailbox"}


async def test_client_that_has_asked_for_nothing_yet(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """Nobody but the listener makes the gateway look; what it finds first is no delivery."""
    async with client_of(settings(dovecot, tmp_path), mailuser) as http:
        client = Watching.of(http, mailuser)
        told = asyncio.create_task((await client.open(types="EmailDelivery")).state())
        number = 0
        while not told.done():
            number += 1
            dovecot.append(mailuser, "INBOX", letter(number))
            await asyncio.wait([told], timeout=1)
        assert set((await told)[client.account_id]) == {"EmailDelivery"}


@pytest.mark.checklist("K16")
async def test_streams_of_one_user_each_have_their_types(
    client: Watching, dovecot: Dovecot, mailuser: User
) -> None:
    one, two = await client.open(types="Email"), await client.open(types="Mailbox,EmailDelivery")
    dovecot.append(mailuser, "INBOX", letter(1))
    assert set(await client.heard(one, {"Email"})) == {"Email"}
    heard = await client.heard(two, {"Mailbox", "EmailDelivery"})
    assert set(heard) == {"Mailbox", "EmailDelivery"}


async def test_other_users_hear_nothing(client: Watching, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8620 §8.2."""
    user = dovecot.add_user()
    stranger = Watching.of(client, user)
    await indexed(stranger, user)
    theirs, own = await stranger.open(), await client.open()
    dovecot.append(mailuser, "INBOX", letter(1))
    await client.heard(own, NEW_MAIL)
    dovecot.append(user, "INBOX", letter(2))
    assert set(await stranger.heard(theirs, NEW_MAIL)) == NEW_MAIL  # heard() checks the account


# --- The parameters ------------------------------------------------------------------------------


@pytest.mark.checklist("K17")
async def test_closeafter_state(client: Watching, dovecot: Dovecot, mailuser: User) -> None:
    reader = await client.open(closeafter="state")
    dovecot.append(mailuser, "INBOX", letter(1))
    assert "Email" in (await reader.state())[client.account_id]
    assert await reader.next() is None


@pytest.mark.checklist("K18")
async def test_ping(client: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventsource, "_MIN_PING", 1)
    reader = await client.open(ping=1)
    assert await reader.next() == Event("ping", '{"interval":1}', reader.parser.last_event_id)


# --- After a break -------------------------------------------------------------------------------


@pytest.mark.checklist("K19")
async def test_missed_while_disconnected(
    client: Watching, dovecot: Dovecot, mailuser: User
) -> None:
    first = await client.open()
    flag(dovecot, mailuser, r"\Seen")
    await client.heard(first, {"Email", "Mailbox"})
    first.response.close()
    flag(dovecot, mailuser, "$Forwarded")
    second = await client.open(last=first.parser.last_event_id)
    assert set(await client.heard(second, {"Email"})) == {"Email"}


@pytest.mark.checklist("K19")
async def test_missed_while_the_gateway_was_away(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """The next process tells what has changed, and only that."""
    dovecot.append(mailuser, "INBOX", letter(0))
    config = settings(dovecot, tmp_path)
    async with client_of(config, mailuser) as client:
        last = await indexed(client, mailuser)
    async with client_of(config, mailuser) as client:
        reader = await Watching.of(client, mailuser).open(last=last)
        assert await reader.opened() is None
        assert reader.parser.last_event_id == last
    flag(dovecot, mailuser, "$Forwarded")
    async with client_of(config, mailuser) as client:
        watching = Watching.of(client, mailuser)
        assert set(await watching.heard(await watching.open(last=last), {"Email"})) == {"Email"}


@pytest.mark.checklist("K19")
async def test_store_that_was_lost(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> None:
    """Then nobody knows what changed: better told too much than too little."""
    dovecot.append(mailuser, "INBOX", letter(0))
    async with client_of(settings(dovecot, tmp_path / "a"), mailuser) as client:
        last = await indexed(client, mailuser)
    async with client_of(settings(dovecot, tmp_path / "b"), mailuser) as client:
        watching = Watching.of(client, mailuser)
        assert set(await watching.heard(await watching.open(last=last), NEW_MAIL)) == NEW_MAIL


@pytest.mark.checklist("K19")
async def test_id_of_another_node(
    dovecot: Dovecot, mailuser: User, tmp_path: Path, redis_server: Redis
) -> None:
    """Design §12: any node can serve any account."""
    dovecot.append(mailuser, "INBOX", letter(0))
    a, b = (
        settings(
            dovecot,
            tmp_path / name,
            JMAP_GATEWAY_STORE__URL=redis_server.url,
            JMAP_GATEWAY_STORE__SECRET="f" * 64,
        )
        for name in ("a", "b")
    )
    async with client_of(a, mailuser) as client:
        last = await indexed(client, mailuser)
    async with client_of(a, mailuser) as one, client_of(b, mailuser) as two:
        nodes = [Watching.of(node, mailuser) for node in (one, two)]
        readers = [await node.open(last=last) for node in nodes]
        for reader in readers:
            assert await reader.opened() is None
        flag(dovecot, mailuser, "$Forwarded")
        heard = [
            await node.heard(reader, {"Email"}) for node, reader in zip(nodes, readers, strict=True)
        ]
    assert [set(types) for types in heard] == [{"Email"}, {"Email"}]
    assert heard[0] == heard[1]


# --- The end -------------------------------------------------------------------------------------


async def test_listener_keeps_its_account(
    client: Watching, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the user asks for nothing; another account is let go of meanwhile."""
    reader = await client.open()
    before = ACTIVE_ACCOUNTS._value.get()
    stranger = Watching.of(client, dovecot.add_user())
    await stranger.session()
    assert ACTIVE_ACCOUNTS._value.get() == before + 1
    monkeypatch.setattr(accounts, "IDLE_SECONDS", 0.0)
    async with asyncio.timeout(SECONDS):
        while ACTIVE_ACCOUNTS._value.get() > before:
            await asyncio.sleep(0.01)
    dovecot.append(mailuser, "INBOX", letter(1))
    assert "Email" in (await reader.state())[client.account_id]


async def test_shutdown_ends_streams(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> None:
    async with ClientSession() as http:
        async with running(settings(dovecot, tmp_path)) as url:
            reader = await Watching(http, url, mailuser).open()
        assert await reader.next() is None


async def test_password_that_was_changed_ends_streams(
    client: Watching, dovecot: Dovecot, mailuser: User
) -> None:
    """As soon as the mail server asks for it again; a login under way still has the old one."""
    reader = await client.open()
    dovecot.add_user(mailuser.username, password="another")
    dovecot.doveadm("auth", "cache", "flush")
    ended = asyncio.create_task(reader.next())
    while not ended.done():
        with suppress(CalledProcessError):  # there is no connection at the moment
            dovecot.doveadm("kick", mailuser.username)
        await asyncio.wait([ended], timeout=1)
    assert await ended is None
    assert (await client.get("/jmap/session")).status == 401
