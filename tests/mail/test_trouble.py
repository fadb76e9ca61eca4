"""RFC 8620 §3.6.2: what a method answers when mail, mailboxes or the server go away meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from subprocess import CalledProcessError
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.imap.errors import ConnectionLost
from gateway.jmap.errors import MethodError
from gateway.jmap.limits import DEFAULTS
from gateway.jmap.methods.query import parse
from gateway.mail.email_query import QUERY, WindowResults
from gateway.sync.account import Account
from gateway.sync.data import AccountData
from gateway.sync.errors import NotCommitted
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, Message, User

ALL = ["mailboxIds", "keywords", "subject", "preview", "bodyStructure", "bodyValues"]


def before(
    monkeypatch: pytest.MonkeyPatch, client: Client, name: str, action: Callable[[], Any]
) -> None:
    """Let `action` happen once, just before the content, or its sections, ask the server."""
    content = client.account.content
    owner: Any = content.sections if name == "sections" else content
    method = owner.read
    pending = [action]

    async def delayed(*args: Any, **kwargs: Any) -> Any:
        if pending:
            pending.pop()()
        return await method(*args, **kwargs)

    monkeypatch.setattr(owner, "read", delayed)


def expunge(dovecot: Dovecot, user: User, uids: str, mailbox: str = "INBOX") -> None:
    with dovecot.imap(user) as imap:
        imap.select(mailbox)
        imap.uid("STORE", uids, "+FLAGS", "(\\Deleted)")
        imap.uid("EXPUNGE", uids)


def kick(dovecot: Dovecot, user: User) -> None:
    """Cut the connections of a user, who may have none."""
    with suppress(CalledProcessError):
        dovecot.doveadm("kick", user.username)


@pytest.fixture
async def ids(client: Client, dovecot: Dovecot, mailuser: User) -> list[str]:
    """Give the ids of three Emails in the inbox, in the order of their UIDs."""
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n, subject=f"{n}")) for n in range(3)])
    return await client.query(sort=[{"property": "subject"}])


@pytest.mark.parametrize("step", ["read", "sections"])
async def test_email_expunged_while_it_is_read_is_not_found(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """RFC 8620 §5.1: the others are answered; the one is gone, or wholly as it was."""
    before(monkeypatch, client, step, lambda: expunge(dovecot, mailuser, "2"))
    got = await client.call("Email/get", ids=ids, properties=ALL, fetchAllBodyValues=True)
    found = {email["id"]: email for email in got["list"]}
    assert found.keys() | set(got["notFound"]) == set(ids)
    assert found.keys() >= {ids[0], ids[2]}
    for id_, email in found.items():
        assert email["subject"] == str(ids.index(id_))
        assert email["mailboxIds"]
        assert email["bodyValues"]["1"]["value"] == "Hello.\n"
    later = await client.call("Email/get", ids=ids, properties=ALL)
    assert later["notFound"] == [ids[1]]


@pytest.mark.checklist("N01")
async def test_no_email_is_ever_shown_in_no_mailbox(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 8621 §4.1.1: also when another request learns of the expunge in the middle of this."""
    content, read = client.account.content, client.account.content.read

    async def overtaken(*args: Any) -> Any:
        done = await read(*args)
        monkeypatch.setattr(content, "read", read)
        expunge(dovecot, mailuser, "2")
        assert len(await client.query()) == 2
        return done

    monkeypatch.setattr(content, "read", overtaken)
    got = await client.call("Email/get", ids=ids, properties=["mailboxIds", "subject"])
    assert all(email["mailboxIds"] for email in got["list"])
    assert {email["id"] for email in got["list"]} | set(got["notFound"]) == set(ids)


@pytest.mark.parametrize("step", ["read", "sections"])
async def test_mailbox_deleted_while_it_is_read(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """RFC 8620 §3.6.2: at worst "serverUnavailable", and then the truth; nothing unexpected."""
    dovecot.create(mailuser, "Work")
    dovecot.append(mailuser, "Work", mail(1))
    dovecot.append(mailuser, "INBOX", mail(2))
    ids = await client.query()

    def delete() -> None:
        with dovecot.imap(mailuser) as imap:
            assert imap.delete("Work")[0] == "OK"
        kick(dovecot, mailuser)

    before(monkeypatch, client, step, delete)
    try:
        await client.call("Email/get", ids=ids, properties=ALL, fetchAllBodyValues=True)
    except Refused as refused:
        assert refused.type == "serverUnavailable"  # noqa: PT017 -- or it did not fail at all
    later = await client.call("Email/get", ids=ids, properties=ALL, fetchAllBodyValues=True)
    assert (len(later["list"]), len(later["notFound"])) == (1, 1)
    assert len(await client.query()) == 1


async def test_mailbox_that_is_deleted_takes_its_mail_along(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: ids in a filter then name nothing; a copy elsewhere stays."""
    dovecot.create(mailuser, "Work")
    dovecot.append_all(mailuser, "Work", [Message(mail(1)), Message(mail(2))])
    with dovecot.imap(mailuser) as imap:
        imap.select("Work")
        imap.uid("COPY", "1", "Archive")
        paths = await client.paths()
        work, archive = paths["Work"], paths["Archive"]
        assert len(await client.query({"inMailbox": work})) == 2
        imap.select("INBOX")
        imap.delete("Work")
    assert await client.query({"inMailbox": work}) == []
    (email,) = await client.emails(properties=["mailboxIds", "messageId"])
    assert email["messageId"] == ["1@example.test"]
    assert email["mailboxIds"] == {archive: True}
    assert await client.query({"inMailboxOtherThan": [work]}) == [email["id"]]


async def test_another_mailbox_under_the_same_name_is_not_taken_for_the_old_one(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: also when a connection of the gateway has the old one open."""
    dovecot.create(mailuser, "Work", "Other")
    dovecot.append(mailuser, "Work", mail(1))
    dovecot.append(mailuser, "Other", mail(2))
    await client.emails()
    paths = await client.paths()
    (old,) = await client.query({"inMailbox": paths["Work"]})
    await client.call("Email/get", ids=[old], properties=["bodyValues"], fetchTextBodyValues=True)
    with dovecot.imap(mailuser) as imap:
        imap.delete("Work")
        imap.rename("Other", "Work")
    assert (await client.paths())["Work"] == paths["Other"]
    assert await client.query({"inMailbox": paths["Work"]}) == []
    (email,) = await client.emails(properties=["messageId"])
    assert email["messageId"] == ["2@example.test"]


async def test_mailbox_with_a_new_uidvalidity_is_read_anew(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 9051 §2.3.1.1: UIDs mean nothing any more, and Emails keep their ids all the same."""
    dovecot.append_all(mailuser, "Archive", [Message(mail(n)) for n in range(3)])
    old = {e["messageId"][0]: e["id"] for e in await client.emails()}
    expunge(dovecot, mailuser, "2", "Archive")
    for action in ("--uid-validity", "1234567"), ("--min-next-uid", "100"):
        dovecot.doveadm("mailbox", "update", "-u", mailuser.username, *action, "Archive")
    dovecot.append(mailuser, "Archive", mail(3))
    new = {e["messageId"][0]: e["id"] for e in await client.emails()}
    assert new.keys() == {"0@example.test", "2@example.test", "3@example.test"}
    assert new.items() >= {key: id_ for key, id_ in old.items() if key in new}.items()


@pytest.mark.checklist("C25")
async def test_server_that_is_down_is_unavailable_and_then_back(
    connect: Connect, start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §3.6.2: every method says so, and works again once the server does."""
    monkeypatch.setattr("gateway.imap.pool._BACKOFF_FIRST", 0.001)
    server = start_dovecot()
    user = server.add_user()
    server.append(user, "INBOX", mail())
    client = await connect(server, user)
    email = await client.email("threadId", "mailboxIds", "blobId")
    server.stop()
    calls: list[tuple[str, dict[str, Any]]] = [
        ("Mailbox/get", {"ids": None}),
        ("Mailbox/query", {}),
        ("Thread/get", {"ids": [email["threadId"]]}),
        ("Email/get", {"ids": [email["id"]]}),
        ("Email/query", {}),
    ]
    for name, arguments in calls:
        with pytest.raises(Refused) as refused:
            await client.call(name, **arguments)
        assert refused.value.type == "serverUnavailable"
    server.start()
    server.append(user, "INBOX", mail(2))
    assert len(await client.query()) == 2
    for name, arguments in calls:
        await client.call(name, **arguments)
    assert await client.blob(email["blobId"]) == mail()


@pytest.mark.checklist("C25")
async def test_server_that_dies_within_a_call(
    connect: Connect, start_dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §3.6.2: an answer that can not be complete is none."""
    server = start_dovecot()
    user = server.add_user()
    server.append(user, "INBOX", mail())
    client = await connect(server, user)
    ids = await client.query()
    for step in ("read", "sections"):
        before(monkeypatch, client, step, server.stop)
        with pytest.raises(Refused) as refused:
            await client.call("Email/get", ids=ids, properties=ALL, fetchAllBodyValues=True)
        assert refused.value.type == "serverUnavailable"
        server.start()
    (email,) = await client.emails(ids, ALL, fetchAllBodyValues=True)
    assert email["bodyValues"]["1"]["value"] == "Hello.\n"


async def test_connections_that_are_cut_are_made_anew(
    client: Client, dovecot: Dovecot, mailuser: User, ids: list[str]
) -> None:
    """A server that is restarted, or closes what is idle, is nothing a client should notice."""
    for number in range(3):
        kick(dovecot, mailuser)
        dovecot.append(mailuser, "INBOX", mail(f"new{number}"))
        try:
            await client.query()
        except Refused as refused:  # the cut was only found out by writing
            assert refused.type == "serverUnavailable"  # noqa: PT017
        assert len(await client.query()) == len(ids) + number + 1


@pytest.mark.checklist("C25")
async def test_password_that_was_changed_is_refused(
    client: Client, dovecot: Dovecot, mailuser: User, ids: list[str]
) -> None:
    """RFC 8620 §3.6.2: "forbidden" once the server no longer lets the account in."""
    assert ids
    entry = f"{mailuser.username}:{{PLAIN}}another::::::\n"
    (dovecot.directory / "users" / mailuser.username).write_text(entry)
    kick(dovecot, mailuser)
    errors = set()
    # The server looks at its password file once a second.
    for _ in range(200):
        try:
            await client.query()
        except Refused as refused:
            errors.add(refused.type)
        if "forbidden" in errors:
            break
        kick(dovecot, mailuser)
    assert "forbidden" in errors
    assert errors <= {"forbidden", "serverUnavailable"}


async def test_mail_that_goes_while_it_is_put_in_order_has_no_place(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 8620 §5.5: where its header fields have to be read, and it is gone when they are."""
    data = client.account.data
    data.headers.truncate(0)
    data.orders.clear()
    before(monkeypatch, client, "content", lambda: expunge(dovecot, mailuser, "2"))
    assert await client.query(sort=[{"property": "subject"}]) == [ids[0], ids[2]]


class Failing(SimpleNamespace):
    """Stands for an account that can not be indexed."""

    async def newest(self, _mailbox_id: str, _count: int) -> None:
        return None

    async def indexed(self) -> AccountData:
        raise self.error


@pytest.mark.checklist("C25")
@pytest.mark.parametrize("error", [NotCommitted("it is another node's"), ConnectionLost("gone")])
@pytest.mark.parametrize(
    "ask", [lambda r: r.total(), lambda r: r.slice(0, 9), lambda r: r.index("E")]
)
async def test_a_query_that_waits_for_the_index_in_vain_can_be_asked_again(
    ask: Callable[[WindowResults], Awaitable[object]], error: Exception
) -> None:
    """RFC 8620 §3.6.2: also after the first of its results were there without the index."""
    query = {"filter": {"inMailbox": "inbox"}, "sort": None, "collapseThreads": False}
    request = parse(query, QUERY, DEFAULTS)
    account = cast(Account, Failing(error=error))
    data = AccountData(Tier.X_GUID, Journal("epoch"))
    with pytest.raises(MethodError) as raised:
        await ask(WindowResults(account, data, request, "inbox"))
    assert raised.value.type == "serverUnavailable"
