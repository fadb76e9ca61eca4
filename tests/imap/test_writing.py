r"""RFC 9051 §6.3.12, §6.4: what changes mailboxes, on a Dovecot with and without its extensions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.imap.commands import append as append_module
from gateway.imap.commands.append import Append, Appended, append
from gateway.imap.commands.copy import Copy, copy
from gateway.imap.commands.create import Create
from gateway.imap.commands.delete import Delete
from gateway.imap.commands.examine import examine, leave
from gateway.imap.commands.expunge import expunge, remove
from gateway.imap.commands.fetch import FetchRow, fetch
from gateway.imap.commands.list import list_mailboxes
from gateway.imap.commands.move import move
from gateway.imap.commands.noop import Noop
from gateway.imap.commands.rename import Rename
from gateway.imap.commands.search import uid_search
from gateway.imap.commands.select import is_storable, select
from gateway.imap.commands.store import store
from gateway.imap.commands.subscribe import Subscribe, Unsubscribe
from gateway.imap.connection import Connection
from gateway.imap.errors import CommandRefused, ConnectionLost
from gateway.imap.wire import criteria, encode, items
from gateway.imap.wire.encode import Upload
from tests.imap.test_dovecot import connect
from tests.servers.dovecot import Dovecot, Message, User
from tests.servers.dovecot_config import Options

STEPS = {
    "everything": Options(),
    "no-move": Options(without=("MOVE",)),
    "no-uidplus": Options(without=("UIDPLUS", "MOVE")),
    "no-literal+": Options(without=("LITERAL+", "UIDPLUS", "MOVE", "UNSELECT", "ESEARCH")),
}


@pytest.fixture(scope="session")
def _server_of_step() -> Iterator[Callable[[str], Dovecot]]:
    started: dict[str, Dovecot] = {}
    with ExitStack() as servers:

        def named(name: str) -> Dovecot:
            if name not in started:
                started[name] = servers.enter_context(Dovecot(STEPS[name]))
            return started[name]

        yield named


@pytest.fixture(params=STEPS)
def server(request: pytest.FixtureRequest, _server_of_step: Callable[[str], Dovecot]) -> Dovecot:
    return _server_of_step(request.param)


@pytest.fixture
def user(server: Dovecot) -> User:
    """Give a user with the messages 1 to 6 in the inbox, and a mailbox "To"."""
    user = server.add_user()
    server.create(user, "To")
    server.append_all(user, "INBOX", [Message(_letter(number)) for number in range(1, 7)])
    return user


@pytest.fixture
async def connection(
    server: Dovecot, user: User, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connection]:
    connection = await connect(server, user)
    if "UIDPLUS" not in connection.capabilities:  # Dovecot tells of UIDs all the same
        for command in (Append, Copy):
            monkeypatch.setattr(command, "_take", lambda *_: False)
    yield connection
    await connection.close()


def _letter(number: int, filling: bytes = b"") -> bytes:
    return b"Message-ID: <%d@x>\r\nSubject: s\r\n\r\n%s\r\n" % (number, filling)


_ID = items.section("HEADER.FIELDS", fields=["Message-ID"])


async def _rows(connection: Connection, mailbox: bytes) -> dict[int, FetchRow]:
    """Messages of a mailbox by the number in their Message-ID."""
    await examine(connection, mailbox)
    fetched = await fetch(connection, b"1:*", [items.FLAGS, items.INTERNALDATE, items.SIZE, _ID])
    rows = {}
    for row in fetched.rows:
        field = row.sections[_ID.name] or b""
        rows[int(field.partition(b"<")[2].partition(b"@")[0])] = row
    await connection.run_all(*leave(connection))
    return rows


def upload(octets: bytes, size: int | None = None, piece: int = 1000) -> Upload:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(octets), piece):
            yield octets[start : start + piece]

    return Upload(len(octets) if size is None else size, chunks())


@asynccontextmanager
async def another(server: Dovecot, user: User) -> AsyncIterator[Connection]:
    connection = await connect(server, user)
    await select(connection, b"INBOX")
    yield connection
    await connection.close()


# --- STORE --------------------------------------------------------------------------------------


async def test_flags_are_added_removed_and_replaced(connection: Connection) -> None:
    selected = await select(connection, b"INBOX")
    assert not selected.read_only
    await store(connection, [1, 2, 3], "+FLAGS", ["\\Seen", "$Forwarded"])
    await store(connection, [2], "-FLAGS", ["\\Seen"])
    await store(connection, [3], "FLAGS", ["\\Flagged"])
    flags = {
        n: set(row.flags or ()) - {"\\Recent"} for n, row in (await _inbox(connection)).items()
    }
    assert flags[1] == {"\\Seen", "$Forwarded"}
    assert flags[2] == {"$Forwarded"}
    assert flags[3] == {"\\Flagged"}
    assert flags[4] == set()


async def _inbox(connection: Connection) -> dict[int, FetchRow]:
    return await _rows(connection, b"INBOX")


async def test_what_changed_since_is_left_as_it_is(
    connection: Connection, server: Dovecot, user: User
) -> None:
    """RFC 7162 §3.1.3: the others are changed all the same."""
    selected = await select(connection, b"INBOX")
    async with another(server, user) as other:
        await store(other, [2, 4], "+FLAGS", ["\\Flagged"])
    await connection.run(Noop())
    stored = await store(
        connection, [1, 2, 3, 4], "+FLAGS", ["\\Seen"], unchanged_since=selected.highestmodseq
    )
    assert [uid for first, last in stored.modified for uid in range(first, last + 1)] == [2, 4]
    rows = await _inbox(connection)
    assert {n for n, row in rows.items() if "\\Seen" in (row.flags or ())} == {1, 3}


async def test_recent_is_never_sent(connection: Connection) -> None:
    await select(connection, b"INBOX")
    with pytest.raises(ValueError, match="Recent"):
        await store(connection, [1], "+FLAGS", ["\\Recent"])


async def test_thousands_of_messages_are_a_few_commands(connection: Connection) -> None:
    """Of messages that are not there nothing is said, and that is no error (RFC 9051 §6.4.9)."""
    await select(connection, b"INBOX")
    stored = await store(connection, range(1, 60_000, 2), "+FLAGS", ["\\Seen"])
    assert not stored.modified
    assert len(await uid_search(connection, criteria.flag("\\Seen"))) == 3


# --- COPY and MOVE ------------------------------------------------------------------------------


@pytest.mark.quirk(42)
async def test_copies_are_where_the_server_says(connection: Connection) -> None:
    await select(connection, b"INBOX")
    copied = await copy(connection, [2, 5, 99], b"To")
    there = await _rows(connection, b"To")
    assert set(there) == {2, 5}
    if "UIDPLUS" in connection.capabilities:
        assert copied.uids == {number: there[number].uid for number in (2, 5)}
    else:
        assert copied.uids is None


@pytest.mark.quirk(42)
async def test_a_move_leaves_nothing_behind_and_takes_nothing_along(
    connection: Connection, server: Dovecot, user: User
) -> None:
    """Nor does it remove what somebody else has flagged as deleted."""
    async with another(server, user) as other:
        await store(other, [1, 6], "+FLAGS", ["\\Deleted"])
    await select(connection, b"INBOX")
    copied = await move(connection, [2, 5, 99], b"To")
    there, here = await _rows(connection, b"To"), await _inbox(connection)
    assert (set(there), set(here)) == ({2, 5}, {1, 3, 4, 6})
    assert {n for n, row in here.items() if "\\Deleted" in (row.flags or ())} == {1, 6}
    assert not any("\\Deleted" in (row.flags or ()) for row in there.values())
    assert copied.uids in (None, {number: there[number].uid for number in (2, 5)})
    if "UIDPLUS" in connection.capabilities:
        assert copied.uids is not None


@pytest.mark.quirk(42)
async def test_a_move_to_nowhere_moves_nothing(connection: Connection) -> None:
    await select(connection, b"INBOX")
    with pytest.raises(CommandRefused) as refused:
        await move(connection, [1, 2], b"Nowhere")
    assert refused.value.code == "TRYCREATE"
    rows = await _inbox(connection)
    assert set(rows) == {*range(1, 7)}
    assert not any("\\Deleted" in (row.flags or ()) for row in rows.values())


# --- EXPUNGE ------------------------------------------------------------------------------------


@pytest.mark.quirk(41)
async def test_only_what_is_meant_is_removed(
    connection: Connection, server: Dovecot, user: User
) -> None:
    async with another(server, user) as other:
        await store(other, [1, 6], "+FLAGS", ["\\Deleted"])
    await select(connection, b"INBOX")
    assert await remove(connection, [3, 4, 99])
    rows = await _inbox(connection)
    assert set(rows) == {1, 2, 5, 6}
    assert {n for n, row in rows.items() if "\\Deleted" in (row.flags or ())} == {1, 6}


@pytest.mark.quirk(41)
async def test_leaving_a_mailbox_removes_nothing(connection: Connection) -> None:
    await select(connection, b"INBOX")
    await store(connection, [1], "+FLAGS", ["\\Deleted"])
    await connection.run_all(*leave(connection))
    assert connection.selected is None
    assert set(await _inbox(connection)) == {*range(1, 7)}


@pytest.mark.quirk(41)
async def test_what_nobody_wants_removed_removes_nothing(connection: Connection) -> None:
    await select(connection, b"INBOX")
    await store(connection, [1], "+FLAGS", ["\\Deleted"])
    assert await expunge(connection, [])
    assert set(await _inbox(connection)) == {*range(1, 7)}


# --- APPEND -------------------------------------------------------------------------------------


@pytest.mark.quirk(41)
@pytest.mark.parametrize("filling", [0, 3_000, 5_000, 70_000, 3_000_000])
async def test_a_message_is_appended_as_it_is_and_found(
    connection: Connection, filling: int
) -> None:
    octets = _letter(77, b"x" * filling)
    received = datetime(2024, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))
    appended = await append(
        connection, b"To", upload(octets, piece=9_999), ["\\Seen", "$a"], received, "<77@x>"
    )
    selected = await examine(connection, b"To")
    whole = items.section()
    (row,) = (await fetch(connection, b"1:*", [items.FLAGS, items.INTERNALDATE, whole])).rows
    assert row.sections[whole.name] == octets
    assert set(row.flags or ()) - {"\\Recent"} == {"\\Seen", "$a"}
    assert row.internaldate is not None
    assert datetime.strptime(row.internaldate.decode(), "%d-%b-%Y %H:%M:%S %z") == received
    assert appended == Appended(selected.uidvalidity, row.uid)


@pytest.mark.quirk(41)
async def test_the_message_just_appended_is_told_from_earlier_ones(connection: Connection) -> None:
    first = await append(connection, b"To", upload(_letter(5)), message_id="<5@x>")
    second = await append(connection, b"To", upload(_letter(5)), message_id="<5@x>")
    assert first is not None
    assert second is not None
    assert second.uid > first.uid


async def test_a_refused_message_is_not_sent(connection: Connection) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"x" * 100_000

    with pytest.raises(CommandRefused) as refused:
        await append(connection, b"Nowhere", Upload(100_000, chunks()))
    assert refused.value.code == "TRYCREATE"
    assert not sent
    await connection.run(Noop())


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize("difference", [-1, 1])
async def test_an_upload_of_another_size_than_announced_is_not_stored(
    connection: Connection, server: Dovecot, user: User, size: int, difference: int
) -> None:
    with pytest.raises(ValueError, match="size"):
        await append(connection, b"To", upload(b"x" * (size + difference), size))
    assert connection.closed
    async with another(server, user) as other:
        assert not await _rows(other, b"To")


async def test_an_upload_that_fails_is_not_stored(
    connection: Connection, server: Dovecot, user: User
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await append(connection, b"To", Upload(10, chunks()))
    assert connection.closed
    with pytest.raises(ConnectionLost):
        await connection.run(Noop())
    async with another(server, user) as other:
        assert not await _rows(other, b"To")


async def test_the_message_is_found_without_a_search_for_header_fields(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> list[int]:
        raise CommandRefused("SEARCH", "NO", None, "no search here")

    monkeypatch.setattr(append_module, "uid_search", refuse)
    await append(connection, b"To", upload(_letter(1)))
    appended = await append(connection, b"To", upload(_letter(5)), message_id="<5@x>")
    assert appended == Appended(
        (await examine(connection, b"To")).uidvalidity, (await _rows(connection, b"To"))[5].uid
    )


# --- Mailboxes ----------------------------------------------------------------------------------


async def test_mailboxes_are_made_renamed_subscribed_and_deleted(connection: Connection) -> None:
    name = encode.mailbox_name("Entwürfe & *alt*")
    await connection.run(Create(name, "/"))
    await connection.run(Subscribe(name))
    (found,) = (m for m in await list_mailboxes(connection) if m.wire == name)
    assert "\\subscribed" in found.attributes
    await connection.run(Unsubscribe(name))
    await connection.run(Rename(name, b"New"))
    listed = {m.wire: m for m in await list_mailboxes(connection)}
    assert name not in listed
    assert "\\subscribed" not in listed[b"New"].attributes
    await connection.run(Delete(b"New"))
    assert b"New" not in {m.wire for m in await list_mailboxes(connection)}


async def test_every_keyword_may_be_stored_on_dovecot(connection: Connection) -> None:
    selected = await select(connection, b"INBOX")
    assert is_storable(selected, "$NeverSeen")
    assert is_storable(selected, "\\Flagged")


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC), b'" 3-Feb-2024 04:05:06 +0000"'),
        (
            datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))),
            b'"17-Jul-1996 02:44:25 -0700"',
        ),
        (
            datetime(2030, 12, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            b'" 1-Dec-2030 00:00:00 +0545"',
        ),
    ],
)
def test_dates_are_written_as_the_grammar_has_them(moment: datetime, written: bytes) -> None:
    assert encode.date_time(moment).line == written
    with pytest.raises(ValueError, match="zone"):
        encode.date_time(moment.replace(tzinfo=None))
