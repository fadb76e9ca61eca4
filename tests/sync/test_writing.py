"""Design §9, RFC 8621 §4.6: what is ordered of Emails is so on the server, and read at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.sync.account import Account
from gateway.sync.appending import Letter
from gateway.sync.failures import Failure, FailureKind
from gateway.sync.quarantine import MOST
from gateway.sync.write_plan import Order
from gateway.sync.writing import writing
from tests.servers.mail_server import MailServer, User
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.hand import furnish, hand
from tests.sync.letters import FIRST_DAY, letter, message_id
from tests.sync.views import Mail, message_ids, view

WRITE_STEPS = (
    "everything",
    "no-condstore",
    "no-move",
    "no-uidplus",
    "no-guids",
    "cyrus",
    "cyrus-no-ids",
)
every_step = pytest.mark.parametrize("server", WRITE_STEPS, indirect=True)


@pytest.fixture
def user(server: MailServer) -> User:
    """A user with threads over several mailboxes, flags of all kinds, and an empty mailbox."""
    return furnish(server)


@pytest.fixture
async def account(server: MailServer, user: User, gateways: Gateways) -> Account:
    """The account of that user."""
    return await gateways.login(server, user)


async def _row(account: Account, number: int) -> int:
    await account.indexed()
    names = await message_ids(account)
    return next(row for row, name in names.items() if name == message_id(number))


async def _order(account: Account, orders: dict[int, Order]) -> list[FailureKind | None]:
    """Order something of letters, by number; what became of each."""
    rows = {number: await _row(account, number) for number in orders}
    async with writing(account) as held:
        results = await held.change({rows[number]: order for number, order in orders.items()})
    kinds = []
    for row in rows.values():
        failure = results[row]
        kinds.append(failure.kind if failure is not None else None)
    return kinds


async def _mail(account: Account, number: int) -> Mail | None:
    return (await view(account)).mails.get(message_id(number))


def _id(account: Account, path: str) -> str:
    return next(m.id for m in account.data.mailboxes.values() if "/".join(m.path) == path)


async def _agrees(account: Account, server: MailServer, user: User) -> None:
    assert await view(account) == raw.read(server, user)


@every_step
async def test_keywords_are_added_and_taken_away(
    server: MailServer, user: User, account: Account
) -> None:
    order = Order(
        add_keywords=frozenset({"$seen", "$new"}), remove_keywords=frozenset({"$flagged"})
    )
    with hand(server, user) as other:
        other.store("INBOX", (4, 6), "FLAGS", "\\Flagged $Old")
    assert await _order(account, {4: order, 6: order}) == [None, None]
    for number in (4, 6):
        mail = await _mail(account, number)
        assert mail is not None
        assert mail.keywords == {"$seen", "$new", "$old"}
    await _agrees(account, server, user)


@every_step
async def test_messages_are_moved_and_keep_their_ids(
    server: MailServer, user: User, account: Account
) -> None:
    rows = [await _row(account, number) for number in (4, 6)]
    before = [account.data.emails.id(row) for row in rows]
    move = Order(
        add_mailboxes=frozenset({_id(account, "C")}),
        remove_mailboxes=frozenset({_id(account, "Inbox")}),
        add_keywords=frozenset({"$flagged"}),
    )
    assert await _order(account, {4: move, 6: move}) == [None, None]
    assert [account.data.emails.id(await _row(account, number)) for number in (4, 6)] == before
    for number in (4, 6):
        mail = await _mail(account, number)
        assert mail is not None
        assert mail.mailboxes == {"C"}
        assert "$flagged" in mail.keywords
    await _agrees(account, server, user)


@every_step
async def test_an_email_is_in_several_mailboxes_and_leaves_them_one_by_one(
    server: MailServer, user: User, account: Account
) -> None:
    await account.indexed()
    inbox, a, c = (_id(account, path) for path in ("Inbox", "A", "C"))
    assert await _order(account, {4: Order(add_mailboxes=frozenset({a, c}))}) == [None]
    mail = await _mail(account, 4)
    assert mail is not None
    assert mail.mailboxes == {"Inbox", "A", "C"}
    await _agrees(account, server, user)
    order = Order(remove_mailboxes=frozenset({inbox, c}), add_keywords=frozenset({"$seen"}))
    assert await _order(account, {4: order}) == [None]
    mail = await _mail(account, 4)
    assert mail is not None
    assert (mail.mailboxes, "$seen" in mail.keywords) == (frozenset({"A"}), True)
    await _agrees(account, server, user)


@every_step
async def test_destroyed_emails_are_in_no_mailbox_and_nothing_else_is_expunged(
    server: MailServer, user: User, account: Account
) -> None:
    with hand(server, user) as other:
        other.store("INBOX", (6,), "+FLAGS", "\\Deleted")
        other.copy("INBOX", (4,), "C")
    assert await _order(account, {4: Order(destroy=True)}) == [None]
    assert await _mail(account, 4) is None
    with hand(server, user) as other:
        other.store("INBOX", (6,), "-FLAGS", "\\Deleted")
    assert await _mail(account, 6) is not None
    await _agrees(account, server, user)


@every_step
async def test_a_message_that_is_gone_is_told_to_be(
    server: MailServer, user: User, account: Account
) -> None:
    rows = {number: await _row(account, number) for number in (4, 6)}
    async with writing(account) as held:
        with hand(server, user) as other:
            other.expunge("INBOX", (4,))
        order = Order(add_keywords=frozenset({"$flagged"}))
        results = await held.change(dict.fromkeys(rows.values(), order))
    assert results[rows[6]] is None
    gone = results[rows[4]]
    assert gone is not None
    assert gone.kind is FailureKind.NOT_FOUND
    await _agrees(account, server, user)


@pytest.mark.parametrize("is_left", [True, False])
async def test_a_message_is_not_lost_that_others_move_to_where_it_is_not_to_be(
    is_left: bool, server: MailServer, user: User, account: Account
) -> None:
    with hand(server, user) as other:
        other.copy("INBOX", (4,), "C")
    row = await _row(account, 4)
    order = Order(
        remove_mailboxes=frozenset({_id(account, "Inbox")}),
        stay_mailboxes=frozenset({_id(account, "C")}),
    )
    async with writing(account) as held:
        with hand(server, user) as other:
            other.move("C", (4,), "INBOX")
            if not is_left:
                other.delete("C")
        assert await held.change({row: order}) == {row: None}
    mail = await _mail(account, 4)
    assert mail is not None
    assert mail.mailboxes == {"C" if is_left else "Inbox"}
    await _agrees(account, server, user)


@every_step
async def test_a_mailbox_that_is_gone_takes_nothing_and_loses_nothing(
    server: MailServer, user: User, account: Account
) -> None:
    row = await _row(account, 4)
    move = Order(
        add_mailboxes=frozenset({_id(account, "C")}),
        remove_mailboxes=frozenset({_id(account, "Inbox")}),
        add_keywords=frozenset({"$flagged"}),
    )
    before = await _mail(account, 4)
    async with writing(account) as held:
        with hand(server, user) as other:
            other.delete("C")
        results = await held.change({row: move})
    failure = results[row]
    assert failure is not None
    assert failure.kind is FailureKind.NO_MAILBOX
    assert await _mail(account, 4) == before
    await _agrees(account, server, user)


@every_step
async def test_mailboxes_that_are_renamed_meanwhile_are_found_again(
    server: MailServer, user: User, account: Account
) -> None:
    row = await _row(account, 15)
    move = Order(
        add_mailboxes=frozenset({_id(account, "C")}),
        remove_mailboxes=frozenset({_id(account, "A")}),
    )
    async with writing(account) as held:
        with hand(server, user) as other:
            other.rename("C", "D").rename("A", "E")
        failure = (await held.change({row: move}))[row]
    if failure is not None:  # without ids, a mailbox of another name is another mailbox
        assert failure.kind is FailureKind.NO_MAILBOX
    mail = await _mail(account, 15)
    assert mail is not None
    assert mail.mailboxes == ({"D"} if failure is None else {"E"})
    await _agrees(account, server, user)


async def test_nothing_is_written_to_a_mailbox_that_is_left_alone(
    server: MailServer, user: User, account: Account
) -> None:
    """What is done there would not be seen, and so be done again."""
    row = await _row(account, 4)
    quarantine = account.data.quarantine
    for uidvalidity in range(MOST + 2):
        quarantine.saw(b"C", 1000 + uidvalidity)
    assert quarantine.holds(b"C")
    async with writing(account) as held:
        copied = await held.change({row: Order(add_mailboxes=frozenset({_id(account, "C")}))})
        (added,) = await held.append([_letter(account, 900, "C")])
    for failure in (copied[row], added):
        assert isinstance(failure, Failure)
        assert failure.kind is FailureKind.UNAVAILABLE
    with server.imap(user) as client:
        assert client.select("C") == ("OK", [b"0"])


def _letter(account: Account, number: int, *paths: str, keywords: tuple[str, ...] = ()) -> Letter:
    octets = letter(number).octets

    async def chunks() -> AsyncIterator[bytes]:
        yield octets[:10]
        yield octets[10:]

    return Letter(
        frozenset(_id(account, path) for path in paths),
        frozenset(keywords),
        FIRST_DAY + timedelta(days=3),
        len(octets),
        chunks,
        f"<{message_id(number)}>".encode(),
    )


@every_step
async def test_letters_are_added_with_their_keywords_and_dates(
    server: MailServer, user: User, account: Account
) -> None:
    async with writing(account) as held:
        new = [
            _letter(account, 900, "C", keywords=("$draft", "$seen", "mine")),
            _letter(account, 901, "Inbox", "A"),
        ]
        rows = await held.append(new)
    assert all(isinstance(row, int) for row in rows)
    assert [await _row(account, 900), await _row(account, 901)] == rows
    first, second = await _mail(account, 900), await _mail(account, 901)
    assert first is not None
    assert second is not None
    assert (first.mailboxes, first.keywords) == (
        frozenset({"C"}),
        frozenset({"$draft", "$seen", "mine"}),
    )
    assert first.received == int((FIRST_DAY + timedelta(days=3)).timestamp())
    assert second.mailboxes == {"Inbox", "A"}
    await _agrees(account, server, user)


@every_step
async def test_a_letter_for_a_mailbox_that_is_gone_is_not_added(
    server: MailServer, user: User, account: Account
) -> None:
    async with writing(account) as held:
        new = [_letter(account, 900, "C", "A"), _letter(account, 901, "Inbox")]
        with hand(server, user) as other:
            other.delete("C")
        rows = await held.append(new)
    assert isinstance(rows[0], Failure)
    assert isinstance(rows[1], int)
    assert await _mail(account, 900) is None
    await _agrees(account, server, user)
