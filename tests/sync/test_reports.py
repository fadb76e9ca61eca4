"""RFC 8621 §7: reports among the mail that arrives are told to who wants to know of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.imap.errors import ConnectionLost
from gateway.sync import reports as reports_module
from gateway.sync.errors import NotCommitted
from tests.mail.client import Client, connected
from tests.mail.messages import mail
from tests.mime.dsns import bounce
from tests.mime.mdns import notification
from tests.servers.dovecot import Dovecot, User


@pytest.fixture(autouse=True)
def _ask_the_server_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)


@pytest.fixture
async def client(dovecot: Dovecot, mailuser: User, tmp_path: Path) -> AsyncIterator[Client]:
    """Give a client of `mailuser`."""
    async with connected(dovecot, mailuser, tmp_path) as client:
        yield client


class Told:
    """Notes what it is told; the first time it raises `failure`, if there is one."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.ids: list[str] = []
        self._failure = failure
        self._news = asyncio.Condition()

    async def __call__(self, email_id: str) -> None:
        async with self._news:
            self.ids.append(email_id)
            self._news.notify_all()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def until(self, count: int) -> list[str]:
        """All that was told, once it is so many."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: len(self.ids) >= count)
        return self.ids


async def ids(client: Client) -> list[str]:
    """Of all Emails, in the order of receipt."""
    return await client.query(sort=[{"property": "receivedAt"}])


async def test_reports_that_arrive_are_told_and_other_mail_is_not(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    told = Told()
    client.account.reports.follow(told, since=0)
    await client.account.indexed()
    for second, octets in enumerate((mail(), bounce(), mail(2), notification())):
        moment = datetime(2024, 1, 1, second=second, tzinfo=UTC)
        dovecot.append(mailuser, "INBOX", octets, internaldate=moment)
    await client.account.fresh()
    _, dsn, _, mdn = await ids(client)
    assert await told.until(2) == [dsn, mdn]
    dovecot.append(mailuser, "INBOX", notification("Final-Recipient: rfc822; other@example.test"))
    await client.account.fresh()
    assert await told.until(3) == [dsn, mdn, (await ids(client))[-1]]


async def test_reports_that_are_there_are_told_from_a_time_on(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    moments = [datetime(2024, 1, day, tzinfo=UTC) for day in (3, 1, 2)]
    for day, moment in enumerate(moments):
        octets = bounce(f"<{day}@example.test>")
        dovecot.append(mailuser, "INBOX", octets, internaldate=moment)
    first, second, third = await ids(client)
    told, earlier = Told(), Told()
    client.account.reports.follow(told, since=moments[2].timestamp())
    assert await told.until(2) == [second, third]
    # Who wants to know of earlier ones is told of those, too; who wants no more, of new ones.
    client.account.reports.follow(earlier, since=0)
    assert await earlier.until(3) == [first, second, third]
    later = Told()
    client.account.reports.follow(later, since=moments[0].timestamp())
    dovecot.append(mailuser, "INBOX", bounce("<new@example.test>"))
    await client.account.fresh()
    assert await later.until(1) == [(await ids(client))[-1]]


@pytest.mark.parametrize("failure", [NotCommitted("not now"), ConnectionLost("gone")])
async def test_what_could_not_be_taken_is_told_again(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    monkeypatch.setattr(reports_module, "RETRY_SECONDS", 0.0)
    dovecot.append(mailuser, "INBOX", bounce())
    (report,) = await ids(client)
    told = Told(failure)
    client.account.reports.follow(told, since=0)
    assert await told.until(2) == [report, report]


async def test_a_defect_does_not_end_it(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "RETRY_SECONDS", 0.0)
    dovecot.append(mailuser, "INBOX", bounce())
    (report,) = await ids(client)
    told = Told(RuntimeError("a defect"))
    client.account.reports.follow(told, since=0)
    await told.until(1)
    while len(told.ids) < 2:
        await client.account.fresh()
    assert told.ids == [report, report]


async def test_who_left_is_told_nothing(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    told, other = Told(), Told()
    client.account.reports.follow(told, since=0)
    await client.account.indexed()
    client.account.reports.leave()
    dovecot.append(mailuser, "INBOX", bounce())
    await client.account.fresh()
    client.account.reports.follow(other, since=0)
    await other.until(1)
    assert told.ids == []
