"""RFC 8621 §2, §4: a cold start, the newest mail first, and servers that go away meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from gateway.imap.errors import AuthenticationFailed, ImapError
from gateway.sasl import Credentials
from gateway.sync import bulk, indexer, pieces, synchronise
from gateway.sync.account import Account
from gateway.sync.checker import Checker
from gateway.sync.errors import MessageGone
from gateway.sync.index import AccountIndex
from gateway.sync.newest import Newest
from gateway.sync.pieces import Extent
from gateway.sync.placements import Placed
from gateway.sync.sections import Place
from tests.servers.dovecot import Dovecot, Message, User
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.letters import FIRST_DAY, letter, message_id
from tests.sync.views import mailbox_ids, message_ids, previews, view


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (bulk, indexer, synchronise):
        monkeypatch.setattr(module, "SLICE", 7)


@pytest.fixture
def on_add(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Give a function to set what is called each time messages were put into an index."""
    place = AccountIndex.place

    def set_callback(callback: Callable[[], None]) -> None:
        def called(index: AccountIndex, number: int, placed: Placed) -> None:
            place(index, number, placed)
            callback()

        monkeypatch.setattr(AccountIndex, "place", called)

    return set_callback


@pytest.mark.checklist("L06", "N03")
async def test_counts_of_a_first_login_are_the_servers_until_they_are_counted(
    server: Dovecot, gateways: Gateways
) -> None:
    user = server.add_user()
    letters = [letter(1), letter(2, 1), letter(3, None, "\\Seen"), letter(4, None, "\\Deleted")]
    server.append_all(user, "INBOX", letters)
    server.append_all(user, "Sent", [letter(5, 1, "\\Seen")])
    account = await gateways.login(server, user)
    data = await account.fresh()
    assert not data.complete
    found = {path: data.counts(data.mailboxes[id_]) for path, id_ in mailbox_ids(data).items()}
    assert (found["Inbox"].total_emails, found["Inbox"].unread_emails) == (4, 3)
    assert (found["Sent"].total_emails, found["Sent"].unread_emails) == (1, 0)
    assert await view(account) == raw.read(server, user)
    assert data.complete


async def test_a_wrong_password_opens_no_account(server: Dovecot, gateways: Gateways) -> None:
    accounts, user = gateways.start(server), server.add_user()
    with pytest.raises(AuthenticationFailed):
        await accounts.login(Credentials(user.username, "wrong"), "127.0.0.1")
    assert accounts.get(user.username) is None


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("server", ["everything", "no-esearch", "no-guids"], indirect=True)
async def test_more_messages_than_are_read_at_once(server: Dovecot, gateways: Gateways) -> None:
    """In the beginning, and when as many come at once."""
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(n, n // 3 * 3 or None) for n in range(1, 80)])
    account = await gateways.login(server, user)
    assert await view(account) == raw.read(server, user)
    server.append_all(user, "INBOX", [letter(n) for n in range(80, 150)])
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "70:90", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()
        client.uid("STORE", "20:60", "+FLAGS.SILENT", "(\\Seen)")
    assert await view(account) == raw.read(server, user)


@pytest.mark.usefixtures("small_slices")
async def test_changes_while_messages_are_read_are_seen(
    server: Dovecot, gateways: Gateways, on_add: Callable[[Callable[[], None]], None]
) -> None:
    """RFC 7162: what the mailbox was like when reading began is what is asked from."""
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(n) for n in range(1, 60)])
    account = await gateways.login(server, user)
    times = iter(range(1000))
    with server.imap(user) as client:
        client.select("INBOX")

        def change() -> None:
            if (time := next(times)) < 5:
                server.append(user, "INBOX", letter(100 + time).octets, (), FIRST_DAY)
                client.uid("STORE", "1,58", "+FLAGS", f"(label{time})")
                client.uid("STORE", f"{3 * time + 2},{50 + time}", "+FLAGS", "(\\Deleted)")
                client.expunge()

        on_add(change)
        assert await view(account) == raw.read(server, user)
    assert next(times) > 5


# --- servers that go away ------------------------------------------------------------------------


@pytest.mark.usefixtures("small_slices")
async def test_a_server_that_dies_while_it_is_read(
    start_dovecot: Callable[..., Dovecot],
    gateways: Gateways,
    on_add: Callable[[Callable[[], None]], None],
) -> None:
    """Whoever waits is told, and nothing is missing once it is back."""
    server = start_dovecot()
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(n) for n in range(1, 101)])
    account = await gateways.login(server, user)
    await account.fresh()
    times = iter(range(1000))
    on_add(lambda: server.stop() if next(times) == 2 else None)
    with pytest.raises(ImapError):
        await account.indexed()
    assert not account.data.complete
    with pytest.raises(ImapError):
        await account.fresh()
    server.start()
    assert await view(account) == raw.read(server, user)


async def test_a_server_that_was_restarted_is_asked_again(
    start_dovecot: Callable[..., Dovecot], gateways: Gateways
) -> None:
    server = start_dovecot()
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await view(account)
    server.stop()
    with pytest.raises(ImapError):
        await account.fresh()
    server.start()
    server.append_all(user, "INBOX", [letter(3)])
    assert await view(account) == raw.read(server, user)


async def test_connections_that_are_cut_cost_nothing(server: Dovecot, gateways: Gateways) -> None:
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await view(account)
    server.doveadm("kick", user.username)
    server.append_all(user, "INBOX", [letter(3)])
    assert await view(account) == raw.read(server, user)


async def test_a_mailbox_may_be_deleted_while_it_is_open(
    server: Dovecot, gateways: Gateways
) -> None:
    """Dovecot says BYE to whoever has it selected."""
    user = server.add_user()
    server.create(user, "A", "B")
    server.append_all(user, "A", [letter(1)])
    account = await gateways.login(server, user)
    await view(account)
    async with account.pool.connection(b"A") as connection:
        assert connection.selected is not None
    with server.imap(user) as client:
        client.delete("A")
    assert await view(account) == raw.read(server, user)


# --- sharing -------------------------------------------------------------------------------------


async def test_who_asks_at_the_same_time_shares_one_look(
    server: Dovecot, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await gateways.login(server, server.add_user())
    looks: list[Checker] = []
    check = Checker.check

    async def counted(checker: Checker, connection: object) -> bool:
        looks.append(checker)
        return await check(checker, connection)  # type: ignore[arg-type]

    monkeypatch.setattr(Checker, "check", counted)
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 1000.0)
    monkeypatch.setattr("gateway.sync.trust.TRUST_FACTOR", 1e9)
    await asyncio.gather(*(account.fresh() for _ in range(5)))
    assert len(looks) == 1
    await account.recheck()
    assert len(looks) == 2


async def test_who_waits_for_the_index_at_the_same_time_shares_it(
    server: Dovecot, gateways: Gateways, on_add: Callable[[Callable[[], None]], None]
) -> None:
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await account.fresh()
    calls: list[None] = []
    on_add(lambda: calls.append(None))
    await asyncio.gather(*(account.indexed() for _ in range(4)))
    assert len(calls) == 1


async def test_who_stops_waiting_stops_nobody_else(server: Dovecot, gateways: Gateways) -> None:
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1)])
    account = await gateways.login(server, user)
    await account.fresh()
    impatient = asyncio.create_task(account.indexed())
    patient = asyncio.create_task(account.indexed())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).complete


# --- the newest ----------------------------------------------------------------------------------


def at(number: int, minute: int, *flags: str) -> Message:
    return Message(letter(number).octets, flags, FIRST_DAY + timedelta(minutes=minute))


async def inbox_of(account: Account) -> str:
    return mailbox_ids(await account.fresh())["Inbox"]


def shown(account: Account, newest: Newest) -> list[str]:
    return [account.data.emails.id(row) for row in newest.rows.tolist()]


@pytest.mark.checklist("H03", "N03")
@pytest.mark.parametrize("server", ["everything", "no-guids"], indirect=True)
@pytest.mark.parametrize("seed", range(4))
async def test_the_newest_are_what_the_whole_index_says(
    seed: int, server: Dovecot, gateways: Gateways
) -> None:
    """RFC 8621 §4.4.2: by receivedAt; where dates are equal, as it will be with all of them."""
    rng = random.Random(seed)
    user = server.add_user()
    flags = [(), (), (), ("\\Deleted",), ("\\Seen",)]
    letters = [at(n, rng.randrange(12), *rng.choice(flags)) for n in range(1, 40)]
    server.append_all(user, "INBOX", letters)
    account = await gateways.login(server, user)
    inbox = await inbox_of(account)
    counts = [1, 3, 10, 25, 39, 40, 60]
    found = {}
    for count in rng.sample(counts, len(counts)):
        newest = await account.newest(inbox, count)
        assert newest is not None
        assert len(newest.rows) <= count
        found[count] = (shown(account, newest), newest.is_all)
    data = await account.indexed()
    rows = np.flatnonzero(data.emails.visible())
    order = np.lexsort((data.emails.key[rows], -data.emails.received[rows]))
    whole = [data.emails.id(row) for row in rows[order].tolist()]
    for ids, is_all in found.values():
        assert ids == whole[: len(ids)]
        assert is_all <= (ids == whole)
    assert found[60] == (whole, True)
    assert await account.newest(inbox, 5) is None, "the index knows better"
    assert await view(account) == raw.read(server, user)


async def test_the_newest_of_an_empty_mailbox_are_none(server: Dovecot, gateways: Gateways) -> None:
    account = await gateways.login(server, server.add_user())
    newest = await account.newest(await inbox_of(account), 10)
    assert newest is not None
    assert (len(newest.rows), newest.is_all) == (0, True)
    assert await account.newest("unknown", 10) is None


@pytest.mark.parametrize("server", ["no-esearch"], indirect=True)
async def test_without_sort_only_the_index_knows_the_newest(
    server: Dovecot, gateways: Gateways
) -> None:
    """RFC 5256."""
    account = await gateways.login(server, server.add_user())
    assert await account.newest(await inbox_of(account), 10) is None


# --- what is inside messages ---------------------------------------------------------------------


@pytest.mark.checklist("N22")
@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("server", ["everything", "no-esearch"], indirect=True)
async def test_attachments_are_known_when_they_are_asked_for(
    server: Dovecot, gateways: Gateways
) -> None:
    user = server.add_user()
    with_attachment = {n for n in range(1, 70) if n % 3 == 0}
    letters = [letter(n, attachment=n in with_attachment) for n in range(1, 70)]
    server.append_all(user, "INBOX", letters[:60])
    account = await gateways.login(server, user)
    await account.fresh()
    await account.indexed()
    server.append_all(user, "Sent", letters[60:])
    await account.fresh()
    await account.attachments_known()
    found = {
        name
        for row, name in (await message_ids(account)).items()
        if account.data.emails.attachment[row] == 1
    }
    assert found == {message_id(n) for n in with_attachment}


@pytest.mark.checklist("N23")
@pytest.mark.parametrize("server", ["everything", "no-preview"], indirect=True)
async def test_previews_are_the_servers_or_made_of_the_text(
    server: Dovecot, gateways: Gateways
) -> None:
    """RFC 8970."""
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2), letter(3, attachment=True)])
    server.append_all(user, "Sent", [letter(4)])
    found = await previews(await gateways.login(server, user))
    expected = ["This is letter 1.", "This is letter 2.", "See the file.", "This is letter 4."]
    assert [found[message_id(n)] for n in (1, 2, 3, 4)] == expected


@pytest.mark.checklist("N06")
async def test_size_is_that_of_the_octets(server: Dovecot, gateways: Gateways) -> None:
    """RFC 8621 §4.1.1: and they are the ones that were stored."""
    user = server.add_user()
    letters = [letter(1), letter(2, 1), letter(3, attachment=True)]
    server.append_all(user, "INBOX", letters)
    account = await gateways.login(server, user)
    await account.fresh()
    await account.indexed()
    rows = {name: row for row, name in (await message_ids(account)).items()}
    for number, message in enumerate(letters, 1):
        row = rows[message_id(number)]
        assert await octets_of(account, row) == message.octets
        assert account.data.emails.octets[row] == len(message.octets)


async def test_content_of_a_message_that_is_gone_is_not_there(
    server: Dovecot, gateways: Gateways
) -> None:
    user = server.add_user()
    server.append_all(user, "INBOX", [letter(1), letter(2)])
    account = await gateways.login(server, user)
    await account.fresh()
    await account.indexed()
    (row,) = (row for row, name in (await message_ids(account)).items() if name == message_id(1))
    expunge(server, user, "1")
    with pytest.raises(MessageGone):
        await octets_of(account, row)


async def octets_of(account: Account, row: int) -> bytes:
    extent = Extent(row, Place(), int(account.data.emails.octets[row]))
    return b"".join([piece async for piece in pieces.read(account, extent)])


def expunge(server: Dovecot, user: User, uid: str) -> None:
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()
