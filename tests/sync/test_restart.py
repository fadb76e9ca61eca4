"""Design §7: an account comes back from the store, with what happened meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gateway.store.base import Durable, Store, StoreUnavailable
from gateway.sync import ledger
from gateway.sync.arrays import Rows
from gateway.sync.index import AccountIndex, Arrivals
from tests.servers.mail_server import MailServer, User
from tests.sync import raw
from tests.sync.conftest import STEPS, Gateways
from tests.sync.letters import letter
from tests.sync.views import email_ids, previews, view

MANY = 300


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that gets the number of messages each time some are put into an index."""
    found: list[int] = []
    rows_of = AccountIndex.rows_of

    def counted(index: AccountIndex, arrivals: Arrivals) -> tuple[Rows, Rows]:
        found.append(len(arrivals.uids))
        return rows_of(index, arrivals)

    monkeypatch.setattr(AccountIndex, "rows_of", counted)
    return found


def furnish(server: MailServer) -> User:
    user = server.add_user()
    server.create(user, "A", "A/B", "C")
    server.append_all(user, "INBOX", [letter(n, None, f"label{n}") for n in range(1, 90)])
    server.append_all(user, "A", [letter(n) for n in range(90, MANY)])
    server.append_all(user, "A/B", [letter(301), letter(302, 1)])
    return user


@pytest.mark.checklist("A09", "D08")
@pytest.mark.parametrize("server", STEPS, indirect=True)
async def test_what_happened_while_the_gateway_was_down_is_seen(
    server: MailServer, gateways: Gateways, added: list[int]
) -> None:
    """And nothing that was known is read again."""
    user, store = furnish(server), gateways.store()
    account = await gateways.login(server, user, store)
    before, known = await view(account), await email_ids(account)
    assert before == raw.read(server, user)
    await gateways.close()
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "1:5", "+FLAGS", "(\\Seen another)")
        client.uid("STORE", "6:7", "+FLAGS.SILENT", "(\\Deleted)")
        client.uid("STORE", "8", "-FLAGS", "(label8)")
        client.expunge()
        client.uid("STORE", "9", "+FLAGS", "(\\Deleted)")
        client.uid("MOVE", "10", "A")
        client.uid("COPY", "11", "A")
        client.create("D")
        client.uid("COPY", "12", "D")
        client.unselect()
        client.delete("A/B")
        client.rename("C", "E")
    server.append(user, "INBOX", letter(400).octets, (), letter(400).internaldate)
    added.clear()
    account = await gateways.login(server, user, store)
    assert await view(account) == raw.read(server, user)
    assert {
        n: i for n, i in (await email_ids(account)).items() if n in known
    }.items() <= known.items()
    assert sum(added) == 4, "new, moved and copied messages"


async def test_without_any_change_nothing_is_read(
    server: MailServer, gateways: Gateways, added: list[int]
) -> None:
    user, store = furnish(server), gateways.store()
    before = await view(await gateways.login(server, user, store))
    await gateways.close()
    added.clear()
    account = await gateways.login(server, user, store)
    assert await view(account) == before
    assert added == []


async def test_an_account_that_nobody_asked_about_stays_saved(
    server: MailServer, gateways: Gateways, added: list[int]
) -> None:
    """A login alone, and the end of the gateway after it."""
    user, store = furnish(server), gateways.store()
    before = await view(await gateways.login(server, user, store))
    await gateways.close()
    await gateways.login(server, user, store)
    await gateways.close()
    added.clear()
    assert await view(await gateways.login(server, user, store)) == before
    assert added == []


async def test_strings_come_from_the_store(server: MailServer, gateways: Gateways) -> None:
    """RFC 8621 §4.1.2: they never change, so the server is not asked again."""
    user, store = furnish(server), gateways.store()
    before = await view(await gateways.login(server, user, store))
    await gateways.close()
    kept = Doubtful(store)
    assert await view(await gateways.login(server, user, kept)) == before
    strings = {key.rpartition(".")[0] for key in kept.given if key.startswith("header.")}
    assert strings == {"header.0", "header.1"}


async def test_strings_of_another_index_are_never_taken(
    server: MailServer, gateways: Gateways
) -> None:
    """The index is lost, and its rows are other messages when it is made again."""
    user, store = furnish(server), gateways.store()
    before = await previews(await gateways.login(server, user, store))
    await gateways.close()
    with server.imap(user) as client:
        client.select("INBOX")
        client.uid("STORE", "80:89", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()
    kept = Doubtful(store, lost="index")
    after = await previews(await gateways.login(server, user, kept))
    assert len(after) == len(before) - 10
    assert after.items() < before.items()
    assert not any(key.startswith("header.") for key in kept.given)


@pytest.mark.parametrize("damage", ["index", "header.0", "header.1"])
async def test_what_the_store_lost_is_read_from_the_server(
    damage: str, server: MailServer, gateways: Gateways
) -> None:
    user, store = furnish(server), gateways.store()
    account = await gateways.login(server, user, store)
    before = await view(account)
    await gateways.close()
    kept = Doubtful(store, lost=damage)
    assert await view(await gateways.login(server, user, kept)) == before
    assert kept.refused


@pytest.mark.parametrize("after_login", [False, True])
async def test_a_store_that_fails_does_not_keep_anybody_from_reading(
    after_login: bool, server: MailServer, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §1: the cache is disposable, once it has failed for a while."""
    monkeypatch.setattr(ledger, "GRACE_SECONDS", 0.0)
    user, store = furnish(server), gateways.store()
    await view(await gateways.login(server, user, store))
    await gateways.close()
    broken = Doubtful(store)
    broken.fails = not after_login
    account = await gateways.login(server, user, broken)
    broken.fails = True
    assert await view(account) == raw.read(server, user)
    await account.save()


class Doubtful:
    """A store that has lost all keys that begin with `lost`, or that `fails` at everything."""

    def __init__(self, store: Store, *, lost: str = "-") -> None:
        self._store = store
        self._lost = lost
        self.fails = False
        self.given: list[str] = []
        self.refused: list[str] = []

    @property
    def durable(self) -> Durable:
        return self._store.durable

    async def load(self, account: str, key: str) -> bytes | None:
        return (await self.load_many(account, [key])).get(key)

    async def load_many(self, account: str, keys: Sequence[str]) -> dict[str, bytes]:
        self._may_fail()
        found = await self._store.load_many(account, keys)
        lost = [key for key in keys if key.startswith(self._lost)]
        self.refused += lost
        left = {key: value for key, value in found.items() if key not in lost}
        self.given += left
        return left

    async def save(self, account: str, entries: Mapping[str, bytes | None]) -> None:
        self._may_fail()
        await self._store.save(account, entries)

    async def replace(
        self, account: str, key: str, expected: bytes | None, entries: Mapping[str, bytes | None]
    ) -> bool:
        self._may_fail()
        return await self._store.replace(account, key, expected, entries)

    async def delete_account(self, account: str) -> None:
        self._may_fail()
        await self._store.delete_account(account)

    async def size(self, account: str) -> int:
        return await self._store.size(account)

    async def close(self) -> None:
        await self._store.close()

    async def ping(self) -> None:
        self._may_fail()

    def _may_fail(self) -> None:
        if self.fails:
            raise StoreUnavailable("memory", "it fails on purpose")
