"""RFC 9051 and extensions against a real Dovecot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.imap.commands.examine import examine
from gateway.imap.commands.fetch import fetch
from gateway.imap.commands.fetch_changes import FetchChanges
from gateway.imap.commands.fetch_columns import FetchColumns, header_fields, stream_columns
from gateway.imap.commands.idle import idle
from gateway.imap.commands.list import list_mailboxes
from gateway.imap.commands.namespace import Namespace, namespaces
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.rights import my_rights
from gateway.imap.commands.search import uid_search, uid_sort
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import AuthenticationFailed, MailboxUnavailable, ServerBusy
from gateway.imap.pool import Pool
from gateway.imap.wire import criteria, items, tokens
from gateway.imap.wire.encode import mailbox_name, pack_uids
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.responses import Untagged
from tests.servers.dovecot import Dovecot, Message, User

HEADER = header_fields(["From", "To", "Subject", "Message-ID"])
BULK = [
    items.UID,
    items.FLAGS,
    items.MODSEQ,
    items.INTERNALDATE,
    items.SIZE,
    items.X_GUID,
    HEADER,
]


async def connect(dovecot: Dovecot, user: User) -> Connection:
    endpoint = Endpoint("127.0.0.1", dovecot.ports.imap, "plain")
    connection = await Connection.open(endpoint, None)
    await connection.login(Credentials(user.username, user.password), "192.0.2.1")
    return connection


@asynccontextmanager
async def logged_in(dovecot: Dovecot, user: User) -> AsyncIterator[Connection]:
    connection = await connect(dovecot, user)
    yield connection
    await connection.close()


def _message(number: int, body: str = "text") -> bytes:
    return (
        f"From: a{number}@example.test\r\nTo: b@example.test\r\nSubject: s{number} ä\r\n"
        f"Message-ID: <{number}@example.test>\r\n\r\n{body}\r\n"
    ).encode()


def _imitation(number: int) -> bytes:
    """A message whose subject and body look like rows of a FETCH."""
    row = "\r\n )\r\n * 5 FETCH (UID 666 FLAGS (\\Deleted) {3}\r\n"
    return f"From: x\r\nSubject: {row} {number}\r\n\r\n)\r\n* 5 FETCH (UID 7)\r\n".encode()


@pytest.fixture
def filled(dovecot: Dovecot, mailuser: User) -> User:
    """Give a user with 60 messages in the inbox, some of them hostile."""
    messages = [
        Message(
            _imitation(number) if number % 7 == 0 else _message(number),
            ("\\Seen", "$Forwarded") if number % 2 else (),
            datetime(2024, 3, 1 + number % 28, tzinfo=UTC),
        )
        for number in range(1, 61)
    ]
    dovecot.append_all(mailuser, "INBOX", messages)
    return mailuser


async def test_login_over_each_kind_of_link(dovecot: Dovecot, mailuser: User) -> None:
    context = dovecot.ssl_context()
    for endpoint, tls in (
        (Endpoint("localhost", dovecot.ports.imaps, "tls"), context),
        (Endpoint("127.0.0.1", dovecot.ports.imap, "plain"), None),
    ):
        connection = await Connection.open(endpoint, tls)
        await connection.login(Credentials(mailuser.username, mailuser.password), "192.0.2.1")
        assert connection.server_name == "dovecot"
        assert "QRESYNC" in connection.enabled
        await connection.close()


async def test_login_with_a_wrong_password(dovecot: Dovecot, mailuser: User) -> None:
    with pytest.raises(AuthenticationFailed) as failed:
        await connect(dovecot, User(mailuser.username, "wrong"))
    assert failed.value.code == "AUTHENTICATIONFAILED"


@pytest.mark.parametrize("password", ["correct horse", 'q"\\{5}', "pässwörd", "%* ()"])
async def test_any_password_reaches_the_server(dovecot: Dovecot, password: str) -> None:
    user = dovecot.add_user(password=password)
    async with logged_in(dovecot, user) as connection:
        await connection.run(Noop())


async def test_mailboxes_with_any_name_are_listed_and_opened(
    dovecot: Dovecot, mailuser: User
) -> None:
    names = ["Entwürfe & mehr", 'quo"ted', "back\\slash", "a b/c d", "{5}", "NIL", "%*", "日本語"]
    dovecot.create(mailuser, *(mailbox_name(name).decode() for name in names))
    async with logged_in(dovecot, mailuser) as connection:
        listed = {each.name: each for each in await list_mailboxes(connection)}
        assert set(names) <= set(listed)
        assert listed["INBOX"].wire == b"INBOX"
        assert "\\subscribed" in listed["NIL"].attributes
        assert "\\drafts" in listed["Drafts"].attributes
        for name in names:
            status = listed[name].status
            assert status is not None
            selected = await examine(connection, listed[name].wire)
            assert selected.uidvalidity == status.uidvalidity
            assert selected.highestmodseq == status.highestmodseq
            assert status.mailbox_id is not None
            assert len(status.mailbox_id) == 32


@pytest.mark.parametrize(
    "without",
    [("LIST-STATUS",), ("LIST-STATUS", "LIST-EXTENDED", "SPECIAL-USE")],
    ids=["no LIST-STATUS", "no LIST-EXTENDED"],
)
async def test_the_list_is_the_same_on_a_lesser_server(
    start_dovecot: Callable[..., Dovecot], without: tuple[str, ...]
) -> None:
    server = start_dovecot(without=without)
    user = server.add_user()
    server.create(user, "a", "b/c")
    async with logged_in(server, user) as connection:
        lesser = {each.name: each for each in await list_mailboxes(connection)}
        connection.capabilities = type(connection.capabilities)(
            [*connection.capabilities, *without]
        )
        full = {each.name: each for each in await list_mailboxes(connection)}
    assert set(lesser) == set(full)
    for name, each in full.items():
        assert lesser[name].status == each.status
        subscribed = {"\\subscribed"}
        assert lesser[name].attributes & subscribed == each.attributes & subscribed


async def test_namespaces_and_rights(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot(acl=True)
    user = server.add_user()
    async with logged_in(server, user) as connection:
        spaces = await namespaces(connection)
        assert spaces.personal == (Namespace("", "/"),)
        assert [space.prefix for space in spaces.other + spaces.shared] == ["shared/"]
        rights = await my_rights(connection, [b"INBOX", b"Sent"])
        assert set("lrswite") <= set(rights[b"INBOX"])
        assert set(rights) == {b"INBOX", b"Sent"}


async def test_a_mailbox_that_does_not_exist(dovecot: Dovecot, mailuser: User) -> None:
    async with logged_in(dovecot, mailuser) as connection:
        with pytest.raises(MailboxUnavailable):
            await examine(connection, b"none")
        assert connection.selected is None
        await examine(connection, b"INBOX")


async def test_fetch(dovecot: Dovecot, filled: User) -> None:
    async with logged_in(dovecot, filled) as connection:
        await examine(connection, b"INBOX")
        subject = items.section("HEADER.FIELDS", fields=["Subject"])
        text = items.section("", "1", window=(0, 3))
        asked = [items.FLAGS, items.SIZE, items.BODYSTRUCTURE, items.PREVIEW, subject, text]
        fetched = await fetch(connection, [61, 3, 2], asked)
        assert [row.uid for row in fetched.rows] == [2, 3]
        row = fetched.rows[1]
        assert row.flags is not None
        assert {"\\Seen", "$Forwarded"} <= set(row.flags)
        assert row.size == len(_message(3))
        assert row.sections == {
            subject.name: "Subject: s3 ä\r\n\r\n".encode(),
            "BODY[1]": b"tex",
        }
        assert row.preview == b"text"
        assert row.bodystructure is not None
        assert row.bodystructure.startswith(b'("text" "plain"')


async def test_changes_and_vanished_since(dovecot: Dovecot, filled: User) -> None:
    """RFC 7162 §3.2.6."""
    async with logged_in(dovecot, filled) as connection:
        before = (await examine(connection, b"INBOX")).highestmodseq
        with dovecot.imap(filled) as other:
            other.select("INBOX")
            other.uid("STORE", "5", "+FLAGS", "(\\Flagged)")
            other.uid("STORE", "7:9,12", "+FLAGS", "(\\Deleted)")
            other.expunge()
        await connection.run(Noop())
        asked = [items.UID, items.FLAGS, items.MODSEQ]
        found = await connection.run(FetchChanges(b"1:*", asked, before, vanished=True))
    assert found.columns.uid == [b"5"]
    assert found.vanished == [(7, 9), (12, 12)]


@pytest.mark.parametrize("mail_format", ["sdbox", "maildir"])
async def test_bulk_rows_equal_those_fetched_one_by_one(
    start_dovecot: Callable[..., Dovecot], mail_format: str
) -> None:
    """The X-GUID of a Maildir is the name of a file."""
    server = start_dovecot(mail_format=mail_format)
    user = server.add_user()
    octets = [_imitation(n) if n % 7 == 0 else _message(n) for n in range(1, 61)]
    server.append_all(user, "INBOX", [Message(each) for each in octets])
    async with logged_in(server, user) as connection:
        await examine(connection, b"INBOX")
        sets = [*pack_uids(range(1, 31)), *pack_uids(range(31, 100))]
        slices = [each async for each in stream_columns(connection, sets, BULK)]
        rows = (await fetch(connection, range(1, 100), BULK)).rows
    joined = _joined(slices)  # this server may send the rows of both slices before the first OK
    assert joined.uid == [b"%d" % row.uid for row in rows]
    assert joined.flags == [" ".join(row.flags or ()).encode() for row in rows]
    assert joined.modseq == [b"%d" % (row.modseq or 0) for row in rows]
    assert joined.internaldate == [row.internaldate for row in rows]
    assert joined.size == [b"%d" % len(each) for each in octets]
    assert joined.identity == [row.identity for row in rows]
    assert joined.header == [row.sections[HEADER.name] for row in rows]


def _joined(slices: list[Columns]) -> Columns:
    joined = Columns()
    for each in slices:
        for field in fields(Columns):
            getattr(joined, field.name).extend(getattr(each, field.name))
    return joined


async def test_structures_in_bulk(dovecot: Dovecot, mailuser: User) -> None:
    multipart = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n'
        b'Content-Type: application/x; name="a (1) B.txt"\r\n\r\nx\r\n--b--\r\n'
    )
    literal = (
        b'Content-Type: text/plain; name="q\\"uote \xc3\xa4"\r\nContent-Description: \xff\r\n\r\nx'
    )
    dovecot.append_all(mailuser, "INBOX", [Message(m) for m in (multipart, literal, multipart)])
    async with logged_in(dovecot, mailuser) as connection:
        await examine(connection, b"INBOX")
        asked = [items.UID, items.BODYSTRUCTURE]
        (columns,) = [each async for each in stream_columns(connection, [b"1:*"], asked)]
        rows = (await fetch(connection, b"1:*", asked)).rows
    assert columns.uid == [b"1", b"2", b"3"]
    assert columns.structure == [row.bodystructure for row in rows]
    assert all(isinstance(tokens.parse(raw or b""), list) for raw in columns.structure)


async def test_search_and_sort(dovecot: Dovecot, filled: User) -> None:
    async with logged_in(dovecot, filled) as connection:
        await examine(connection, b"INBOX")
        seen = await uid_search(connection, criteria.flag("\\Seen"))
        assert seen == list(range(1, 61, 2))
        subject = criteria.text("SUBJECT", "S11 Ä")
        assert await uid_search(connection, subject) == [11]
        both = criteria.all_of(criteria.flag("$Forwarded"), criteria.uids(b"1:4"))
        assert await uid_search(connection, both) == [1, 3]
        header = criteria.header("Message-ID", "<12@example.test>")
        assert await uid_search(connection, criteria.any_of(header, subject)) == [11, 12]
        newest = await uid_sort(connection, ("REVERSE", "ARRIVAL"), criteria.ALL, 3)
        everything = await uid_sort(connection, ("REVERSE", "ARRIVAL"), criteria.ALL)
        assert newest == everything[:3]
        assert sorted(everything) == list(range(1, 61))


async def test_news_arrive_during_idle(dovecot: Dovecot, mailuser: User) -> None:
    async with logged_in(dovecot, mailuser) as connection:
        await examine(connection, b"INBOX")
        stop = asyncio.Event()
        heard: list[tuple[str, int | None]] = []

        def on_response(response: Untagged) -> None:
            heard.append((response.name, response.number))
            if response.name == "EXISTS":
                stop.set()

        watching = asyncio.create_task(idle(connection, on_response, stop))
        await asyncio.to_thread(dovecot.append, mailuser, "INBOX", _message(1))
        await asyncio.wait_for(watching, 20)
        assert ("EXISTS", 1) in heard
        await connection.run(Noop())


async def test_news_between_commands_are_kept(dovecot: Dovecot, filled: User) -> None:
    async with logged_in(dovecot, filled) as connection:
        await examine(connection, b"INBOX")
        heard: list[str] = []
        connection.on_unsolicited = lambda response: heard.append(response.name)
        await asyncio.to_thread(dovecot.append, filled, "INBOX", _message(99))
        await connection.run(FetchColumns(b"1:60", BULK, Shape(BULK)))
        await connection.run(Noop())
        assert "EXISTS" in heard


async def test_a_pool_shares_two_connections(dovecot: Dovecot, filled: User) -> None:
    pool = Pool(lambda: connect(dovecot, filled))

    async def read(uid: int) -> int:
        async with pool.connection(b"INBOX") as connection:
            (row,) = (await fetch(connection, [uid], [items.SIZE])).rows
            return row.uid

    results = await asyncio.gather(*(read(uid) for uid in range(1, 61)))
    assert results == list(range(1, 61))
    assert pool.count <= 2
    await pool.close()


async def test_a_pool_recovers_when_its_connections_are_kicked(
    dovecot: Dovecot, filled: User
) -> None:
    pool = Pool(lambda: connect(dovecot, filled))
    async with pool.connection(b"INBOX") as connection:
        await asyncio.to_thread(dovecot.doveadm, "kick", filled.username)
        while not connection.closed:
            await asyncio.sleep(0.01)
    async with pool.connection(b"INBOX") as again:
        assert again is not connection
        await again.run(Noop())
    await pool.close()


async def test_a_pool_lives_with_the_connections_it_gets(
    start_dovecot: Callable[..., Dovecot],
) -> None:
    """NO [LIMIT]: the second connection is refused, and the first one serves all."""
    server = start_dovecot(max_userip_connections=1)
    user = server.add_user()
    pool = Pool(lambda: connect(server, user))

    async def use(mailbox: bytes) -> Any:
        async with pool.connection(mailbox) as connection:
            return await connection.run(Noop())

    await use(b"INBOX")  # two logins at the same moment would both be let in
    await asyncio.gather(*(use(mailbox) for mailbox in (b"INBOX", b"Sent") * 5))
    assert pool.count == 1
    with pytest.raises(ServerBusy):
        await connect(server, user)
    await pool.close()


def test_bulk_rows_under_uvloop(
    dovecot: Dovecot, filled: User, uvloop_run: Callable[[Any], Any]
) -> None:
    async def main() -> None:
        endpoint = Endpoint("localhost", dovecot.ports.imaps, "tls")
        connection = await Connection.open(endpoint, dovecot.ssl_context())
        await connection.login(Credentials(filled.username, filled.password), "192.0.2.1")
        await examine(connection, b"INBOX")
        slices = [each async for each in stream_columns(connection, [b"1:30", b"31:60"], BULK)]
        assert sum(map(len, slices)) == 60
        await connection.close()

    uvloop_run(main())
