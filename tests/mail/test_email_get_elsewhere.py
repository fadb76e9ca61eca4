"""RFC 8620 §5.1: Email/get of messages that are not where they were when it was last looked."""

from __future__ import annotations

import pytest

from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User


@pytest.fixture
async def id_(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Give the id of a message that is known to be in the inbox, where nobody looks again."""
    dovecot.create(mailuser, "Elsewhere")
    dovecot.append(mailuser, "INBOX", mail())
    (found,) = (await client.call("Email/query"))["ids"]
    await trust(client, monkeypatch)
    return str(found)


async def trust(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nobody looks at the server again without a reason."""
    for name in ("MAX_TRUST_SECONDS", "VOUCHED_SECONDS", "TRUST_FACTOR"):
        monkeypatch.setattr(f"gateway.sync.trust.{name}", 1e6)
    await client.account.recheck()


async def test_one_that_was_moved_is_found(
    id_: str, client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.1: its id stays, so it is not notFound."""
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("MOVE", "1", "Elsewhere")
    got = await client.call("Email/get", ids=[id_], properties=["mailboxIds", "preview"])
    (email,) = got["list"]
    mailboxes = {m["name"]: m["id"] for m in await client.mailboxes("name")}
    assert email["mailboxIds"] == {mailboxes["Elsewhere"]: True}


@pytest.mark.checklist("L06")
@pytest.mark.parametrize("server", ["dovecot", "cyrus"])
@pytest.mark.parametrize("swapped", [False, True])
async def test_one_in_a_mailbox_that_was_renamed_is_found(
    server: str,
    swapped: bool,
    connect: Connect,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where another one has the name now, and a connection has the old one open."""
    host = request.getfixturevalue(server)
    user = host.add_user()
    host.create(user, "One", "Two")
    client = await connect(host, user)
    for number in range(2):
        host.append(user, "One", mail(number))
    ids = await client.query()
    await trust(client, monkeypatch)
    await client.call("Email/get", ids=ids[:1], properties=["preview"])
    with host.imap(user) as imap:
        imap.rename("One", "Three")
        if swapped:
            imap.rename("Two", "One")
    got = await client.call("Email/get", ids=ids[1:], properties=["preview", "bodyValues"])
    assert [email["id"] for email in got["list"]] == ids[1:]


async def test_one_that_is_not_known_yet_is_waited_for(
    client: Client, connect: Connect, dovecot: Dovecot, mailuser: User
) -> None:
    """Design §1: when all that is stored is lost, ids are the same, and no answer is wrong."""
    dovecot.append(mailuser, "INBOX", mail())
    (known,) = await client.query()
    cold = await connect(dovecot, mailuser)
    got = await cold.call("Email/get", ids=[known, "Enothing"], properties=["id"])
    assert got["list"] == [{"id": known}]
    assert got["notFound"] == ["Enothing"]


async def test_one_that_is_gone_is_so_in_another_state(
    id_: str, client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """The state of an answer is that of what it says, or /changes would not tell of it."""
    before = (await client.call("Email/get", ids=[]))["state"]
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
        imap.expunge()
    got = await client.call("Email/get", ids=[id_], properties=["preview"])
    assert got["notFound"] == [id_]
    assert got["state"] != before
