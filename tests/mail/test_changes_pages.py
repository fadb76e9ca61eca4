"""RFC 8620 §5.2: a big change is told in pages, and other changes may come between two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.sync import raw
from tests.sync.follower import TYPES, Follower, differences
from tests.sync.hand import Hand, hand
from tests.sync.letters import letter

SIZES = (1, 7, 100)
COUNT = 60


@pytest.fixture
async def follower(connect: Connect, dovecot: Dovecot, mailuser: User) -> Follower:
    """Give a client that has read an account with some mail in two mailboxes."""
    dovecot.create(mailuser, "A", "B", "C")
    dovecot.append_all(mailuser, "INBOX", [letter(n, n // 3 * 3) for n in range(1, COUNT + 1)])
    dovecot.append_all(mailuser, "A", [letter(n) for n in range(101, 111)])
    found = Follower(await connect(dovecot, mailuser))
    await found.load()
    return found


def change_much(writer: Hand) -> None:
    """Some 50 Emails, 30 Threads, and all Mailboxes."""
    writer.store("INBOX", tuple(range(1, 21)), "+FLAGS", "\\Seen $Much")
    writer.expunge("INBOX", tuple(range(21, 36)))
    writer.move("INBOX", tuple(range(36, 41)), "A")
    writer.move("A", (101, 102), "B")
    for number in range(201, 211):
        writer.append("B", number, number // 4 * 4)
    writer.create("M/N", "O")
    writer.rename("C", "P")


@pytest.mark.checklist("E02", "E04", "E05", "E06", "L11", "M04")
@pytest.mark.parametrize("size", SIZES)
async def test_a_big_change_is_told_in_pages(
    size: int, follower: Follower, dovecot: Dovecot, mailuser: User
) -> None:
    before = follower.copy()
    with hand(dovecot, mailuser) as writer:
        change_much(writer)
    told = await follower.follow(size)
    assert follower.view() == raw.read(dovecot, mailuser)
    for name in TYPES:
        expected = differences(before[name], follower.records[name])
        assert told[name].ids == expected
        assert told[name].pages >= sum(map(len, expected)) / size


@pytest.mark.checklist("E02", "E04", "E06")
@pytest.mark.parametrize("size", SIZES)
async def test_changes_of_several_looks_are_told_in_pages(
    size: int, connect: Connect, follower: Follower, dovecot: Dovecot, mailuser: User
) -> None:
    """Each look of another client makes an entry of its own; the cuts may be anywhere."""
    other = follower.client
    before = follower.copy()
    with hand(dovecot, mailuser) as writer:
        for make in _one_by_one():
            make(writer)
            await other.call("Mailbox/get", ids=[])
    told = await follower.follow(size)
    assert follower.view() == raw.read(dovecot, mailuser)
    for name in TYPES:
        created, updated, destroyed = differences(before[name], follower.records[name])
        assert told[name].created - told[name].destroyed == created
        assert told[name].updated - told[name].destroyed >= updated
        assert told[name].destroyed >= destroyed


def _one_by_one() -> Iterator[Callable[[Hand], object]]:
    """Changes that follow each other, and of which some undo what was before them."""
    yield lambda w: w.append("B", 301)
    yield lambda w: w.store("B", (301,), "+FLAGS", "\\Seen")
    yield lambda w: w.append("B", 302, 1)
    yield lambda w: w.expunge("B", (302,))
    yield lambda w: w.store("INBOX", (1, 2, 3, 4), "+FLAGS", "\\Flagged")
    yield lambda w: w.store("INBOX", (1, 2), "-FLAGS", "\\Flagged")
    yield lambda w: w.expunge("INBOX", (4,))
    yield lambda w: w.move("INBOX", (5, 6), "A")
    yield lambda w: w.move("A", (5,), "INBOX")
    yield lambda w: w.store("INBOX", (7,), "+FLAGS", "\\Deleted")
    yield lambda w: w.store("INBOX", (7,), "-FLAGS", "\\Deleted")
    yield lambda w: w.create("M")
    yield lambda w: w.copy("INBOX", (8,), "M")
    yield lambda w: w.create("N")
    yield lambda w: w.delete("N")
    yield lambda w: w.rename("C", "Q")
    yield lambda w: w.rename("Q", "C")
    yield lambda w: w.delete("A")


@pytest.mark.checklist("E02", "E04", "E06")
@pytest.mark.parametrize("size", [3, 11])
async def test_changes_between_two_pages_are_told_too(
    size: int, follower: Follower, dovecot: Dovecot, mailuser: User
) -> None:
    """Those to what was told already, and to what is still to be told."""
    with hand(dovecot, mailuser) as writer:
        change_much(writer)
        between = iter(
            [
                lambda: writer.store("INBOX", (1, 20, 60), "FLAGS", "$Between"),
                lambda: writer.expunge("INBOX", (2, 19, 59)),
                lambda: writer.expunge("B", (201, 210)),
                lambda: writer.append("A", 401, 1),
                lambda: writer.move("INBOX", (3, 58), "M/N"),
                lambda: writer.rename("O", "R"),
            ]
        )
        follower.client, follower.alone = Interrupted(follower.client, between), False
        await follower.follow(size)
    follower.alone = True
    await follower.follow(size)
    assert next(between, None) is None
    assert follower.view() == raw.read(dovecot, mailuser)


class Interrupted(Client):
    """A client whose server changes before each of its requests, as long as there is something."""

    def __init__(self, client: Client, changes: Iterator[Callable[[], object]]) -> None:
        super().__init__(client.account)
        self._changes = changes
        self._asked = 0

    async def request(
        self, *calls: tuple[str, dict[str, object]]
    ) -> list[tuple[str, dict[str, object]]]:
        """As Client; the first is not interrupted."""
        if self._asked:
            next(self._changes, lambda: None)()
        self._asked += 1
        return await super().request(*calls)
