"""RFC 8620 §1.6.2, §2, RFC 8621 §9.5: what users of a real Dovecot share, as accounts of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from gateway.app import running
from gateway.http import session
from gateway.sync import login
from tests.app.harness import MAIL, Client, settings
from tests.app.sharing import accounts, call, letter, mailboxes, share, subjects, until
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

PUBLISHER = "publisher@example.test"

Connect = Callable[..., Awaitable[Client]]


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others did is seen by the next request, not up to a second later."""
    monkeypatch.setattr(session, "SHARED_SECONDS", 0.0)
    monkeypatch.setattr(login, "ANEW_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 0.0)
    monkeypatch.setattr("gateway.sync.trust.VOUCHED_SECONDS", 0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """Give a Dovecot with the namespaces `shared/` and `Public/`."""
    with Dovecot(Options(acl=True, publisher=PUBLISHER)) as server:
        server.add_user(PUBLISHER)
        yield server


@pytest.fixture
def ann(server: Dovecot) -> User:
    return server.add_user()


@pytest.fixture
def bob(server: Dovecot) -> User:
    return server.add_user()


@pytest.fixture
async def connect(server: Dovecot, tmp_path: Path) -> AsyncIterator[Connect]:
    """Give a function for clients of a gateway; those of one number share one."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        urls: dict[int, str] = {}

        async def connect(user: User, number: int = 0) -> Client:
            if number not in urls:
                directory = tmp_path / str(number)
                directory.mkdir()
                config = settings(server, directory, JMAP_GATEWAY_IMAP__CONNECTIONS_PER_ACCOUNT="2")
                urls[number] = await stack.enter_async_context(running(config))
            return Client(http, urls[number], user)

        yield connect


async def account_of(client: Client, name: str) -> str:
    """The id of the account that others share under that name."""
    account_id, _ = (await accounts(client))[name]
    return account_id


async def test_without_shares_there_is_one_account(connect: Connect, ann: User) -> None:
    client = await connect(ann)
    assert list((await client.session())["accounts"]) == [client.account_id]


@pytest.mark.checklist("B04", "B06")
async def test_another_user_who_shares_mailboxes_is_an_account(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §2: with that user's name, inbox and tree; none of it is in the own account."""
    server.create(bob, "Work", "Work/Reports", "Private")
    share(server, bob, "INBOX", ann.username, "lrs")
    share(server, bob, "Work/Reports", ann.username, "lrswipkxte")
    server.append(bob, "INBOX", letter("in"))
    server.append(bob, "Work/Reports", letter("report"))
    server.append(bob, "Private", letter("secret"))
    client = await connect(ann)
    session_ = await client.session()
    shared = await accounts(client)
    assert list(shared) == [bob.username]
    account_id, is_read_only = shared[bob.username]
    assert not is_read_only
    assert set(session_["primaryAccounts"].values()) == {client.account_id}
    capability = session_["accounts"][account_id]["accountCapabilities"][MAIL]
    assert capability["mayCreateTopLevelMailbox"] is False
    found = await mailboxes(client, account_id)
    assert {path: mailbox["role"] for path, mailbox in found.items()} == {
        "Inbox": "inbox",
        "Work": None,
        "Work/Reports": None,
    }
    assert found["Work"]["granted"] == set()
    assert found["Inbox"]["granted"] == {"mayReadItems", "maySetSeen"}
    assert found["Work/Reports"]["granted"] >= {"mayAddItems", "mayRemoveItems", "mayCreateChild"}
    assert await subjects(client, account_id) == ["in", "report"]
    own = await mailboxes(client, client.account_id)
    assert set(own) == {"Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive"}
    assert await subjects(client, client.account_id) == []


async def test_an_inbox_that_is_called_so_is_the_same(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path
) -> None:
    """Dovecot with mail_shared_explicit_inbox, as mailcow has it; other prefixes and delimiters."""
    server = start_dovecot(acl=True, explicit_inbox=True, prefix="INBOX.", separator=".")
    ann, bob = server.add_user("ann@localhost"), server.add_user("bob@localhost")
    server.create(bob, "INBOX.Work.Reports")
    share(server, bob, "INBOX", ann.username, "lr")
    share(server, bob, "INBOX.Work.Reports", ann.username, "lr")
    async with running(settings(server, tmp_path)) as url, ClientSession() as http:
        client = Client(http, url, ann)
        found = await mailboxes(client, await account_of(client, bob.username))
        assert {path: mailbox["role"] for path, mailbox in found.items()} == {
            "Inbox": "inbox",
            "Work": None,
            "Work/Reports": None,
        }


async def test_a_shared_namespace_is_one_account(
    connect: Connect, server: Dovecot, ann: User
) -> None:
    """RFC 2342 §5: what an administrator has set up is one tree, in which nobody has an inbox."""
    publisher = User(PUBLISHER, ann.password)
    with server.imap(publisher) as imap:
        for name in ("Public/News", "Public/Sales/Inbox", "Public/Trash"):
            imap.create(f'"{name}"')
    for name in ("Public/News", "Public/Sales/Inbox", "Public/Trash"):
        share(server, publisher, name, ann.username, "lr")
    server.append(publisher, "Public/News", letter("news"))
    client = await connect(ann)
    shared = await accounts(client)
    assert list(shared) == ["Public"]
    account_id, is_read_only = shared["Public"]
    assert is_read_only
    found = await mailboxes(client, account_id)
    assert {path: mailbox["role"] for path, mailbox in found.items()} == {
        "News": None,
        "Sales": None,
        "Sales/Inbox": None,
        "Trash": None,
    }
    assert await subjects(client, account_id) == ["news"]


@pytest.mark.checklist("C24")
async def test_an_account_of_which_nothing_can_be_written_is_read_only(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §2, §3.6.2: isReadOnly by the rights of all its mailboxes; accountReadOnly."""
    server.create(bob, "Work")
    share(server, bob, "INBOX", ann.username, "lr")
    share(server, bob, "Work", ann.username, "lrp")
    client = await connect(ann)
    account_id, is_read_only = (await accounts(client))[bob.username]
    assert is_read_only
    assert await call(client, account_id, "Email/set", destroy=["E1"]) == {
        "error": "accountReadOnly"
    }


async def test_ids_are_the_same_on_every_node_and_without_a_store(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §1.6.2: and no two users have the same for what is shared with both."""
    carol = server.add_user()
    for who in (ann, carol):
        share(server, bob, "INBOX", who.username, "lr")
    server.append(bob, "INBOX", letter("one"))
    one, two, other = await connect(ann), await connect(ann, 1), await connect(carol)
    account_id = await account_of(one, bob.username)
    assert account_id == await account_of(two, bob.username)
    assert account_id != await account_of(other, bob.username)
    ids = [(await call(c, account_id, "Email/query"))["ids"] for c in (one, two)]
    assert ids[0] == ids[1] != []


@pytest.mark.checklist("B07", "L18")
async def test_what_is_withdrawn_is_gone(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §3.6.2: accountNotFound, before the session was looked at and after."""
    share(server, bob, "INBOX", ann.username, "lr")
    server.append(bob, "INBOX", letter("one"))
    client = await connect(ann)
    before = (await client.session())["state"]
    account_id = await account_of(client, bob.username)
    assert await subjects(client, account_id) == ["one"]
    share(server, bob, "INBOX", ann.username, "")
    gone = {"error": "accountNotFound"}
    await until(lambda: call(client, account_id, "Mailbox/get", ids=None), gone.__eq__)
    assert await call(client, account_id, "Email/query") == gone
    after = await client.session()
    assert list(after["accounts"]) == [client.account_id]
    assert after["state"] != before


async def test_what_comes_to_be_shared_is_there(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §2: at the next look at the Session, of which the state changes; and again."""
    client = await connect(ann)
    before = (await client.session())["state"]
    share(server, bob, "INBOX", ann.username, "lr")
    account_id = await account_of(client, bob.username)
    assert (await client.session())["state"] != before
    assert set(await mailboxes(client, account_id)) == {"Inbox"}
    share(server, bob, "INBOX", ann.username, "")
    await until(lambda: accounts(client), {}.__eq__)
    share(server, bob, "INBOX", ann.username, "lrswi")
    await until(lambda: accounts(client), {bob.username: (account_id, False)}.__eq__)
    assert set(await mailboxes(client, account_id)) == {"Inbox"}


async def test_mailboxes_of_an_account_come_and_go(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8621 §2.2: as rights on them are granted and taken away."""
    server.create(bob, "Work")
    share(server, bob, "INBOX", ann.username, "lr")
    client = await connect(ann)
    account_id = await account_of(client, bob.username)
    state = (await call(client, account_id, "Mailbox/get", ids=None))["state"]
    share(server, bob, "Work", ann.username, "lr")
    work = (await until(lambda: mailboxes(client, account_id), lambda m: "Work" in m))["Work"]["id"]
    changed = await call(client, account_id, "Mailbox/changes", sinceState=state)
    assert changed["created"] == [work]
    share(server, bob, "Work", ann.username, "")
    await until(lambda: mailboxes(client, account_id), lambda m: "Work" not in m)
    changed = await call(client, account_id, "Mailbox/changes", sinceState=changed["newState"])
    assert changed["destroyed"] == [work]


@pytest.mark.checklist("L18")
async def test_nobody_gets_at_what_is_not_shared_with_them(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §8.4, RFC 8621 §9.5: by whatever id of an account, mailbox, message or blob."""
    carol = server.add_user()
    server.create(bob, "Work", "Private")
    share(server, bob, "Work", ann.username, "lrswite")
    server.append(bob, "Work", letter("work"))
    server.append(bob, "Private", letter("secret"))
    his, hers, none = await connect(bob), await connect(ann), await connect(carol)
    await his.session()
    await none.session()
    shared = await account_of(hers, bob.username)
    private = (await mailboxes(his, his.account_id))["Private"]["id"]
    query = await call(his, his.account_id, "Email/query", filter={"inMailbox": private})
    (secret,) = query["ids"]
    got = await call(his, his.account_id, "Email/get", ids=[secret], properties=["blobId"])
    blob_id = got["list"][0]["blobId"]
    assert (await his.get(f"/jmap/download/{his.account_id}/{blob_id}/x")).status == 200
    # Somebody else's account, by the id that its users have for it.
    for client, account_id in ((hers, his.account_id), (none, his.account_id), (none, shared)):
        for method in ("Mailbox/get", "Email/get", "Thread/get", "Email/query", "Email/set"):
            assert await call(client, account_id, method) == {"error": "accountNotFound"}
        assert (await client.get(f"/jmap/download/{account_id}/{blob_id}/x")).status == 404
    # In the account that is shared, what is not.
    for account_id in (shared, hers.account_id):
        got = await call(hers, account_id, "Email/get", ids=[secret])
        assert got["notFound"] == [secret]
        got = await call(hers, account_id, "Mailbox/get", ids=[private])
        assert got["notFound"] == [private]
        assert (await hers.get(f"/jmap/download/{account_id}/{blob_id}/x")).status == 404
    assert await subjects(hers, shared) == ["work"]


@pytest.mark.checklist("J04")
async def test_an_upload_to_a_shared_account_is_its_uploaders_alone(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8620 §6.1: until something refers to it."""
    carol = server.add_user()
    for who in (ann, carol):
        share(server, bob, "INBOX", who.username, "lrswi")
    his, hers, other = await connect(bob), await connect(ann), await connect(carol)
    shared = await account_of(hers, bob.username)
    uploaded = await hers.http.post(
        f"{hers.url}/jmap/upload/{shared}", data=b"draft", headers=hers.headers
    )
    assert uploaded.status == 201
    answer = await uploaded.json()
    assert answer["accountId"] == shared
    blob_id = answer["blobId"]
    assert await (await hers.get(f"/jmap/download/{shared}/{blob_id}/x")).read() == b"draft"
    await his.session()
    elsewhere = [
        (his, his.account_id),
        (his, shared),
        (other, await account_of(other, bob.username)),
        (other, shared),
        (hers, hers.account_id),
    ]
    for client, account_id in elsewhere:
        response = await client.get(f"/jmap/download/{account_id}/{blob_id}/x")
        assert response.status == 404


async def test_all_accounts_of_a_user_share_few_connections(
    connect: Connect, server: Dovecot, ann: User
) -> None:
    """Design §4: however many accounts are in use."""
    owners = [server.add_user() for _ in range(4)]
    for owner in owners:
        share(server, owner, "INBOX", ann.username, "lr")
        server.append(owner, "INBOX", letter(owner.username))
    client = await connect(ann)
    for name, (account_id, _) in (await accounts(client)).items():
        assert await subjects(client, account_id) == [name]
    assert await subjects(client, client.account_id) == []
    who = server.doveadm("-f", "tab", "who", ann.username).splitlines()
    connections = [int(line.split("\t")[1]) for line in who[1:]]
    assert 0 < sum(connections) <= 2


@pytest.mark.checklist("Q04", "F17")
async def test_only_what_the_rights_allow_is_changed(
    connect: Connect, server: Dovecot, ann: User, bob: User
) -> None:
    """RFC 8621 §4.6: adding, removing, $seen and other keywords, in all mailboxes of the Email."""
    server.create(bob, "Work", "Old", "Open")
    server.append(bob, "Work", letter("one"))
    share(server, bob, "Work", ann.username, "lrs")
    share(server, bob, "Old", ann.username, "lr")
    share(server, bob, "Open", ann.username, "lrswite")
    client = await connect(ann)
    account_id = await account_of(client, bob.username)
    ids = {name: m["id"] for name, m in (await mailboxes(client, account_id)).items()}
    (one,) = (await call(client, account_id, "Email/query"))["ids"]

    async def update(patch: dict[str, object]) -> str | None:
        answer = await call(client, account_id, "Email/set", update={one: patch})
        return answer["notUpdated"][one]["type"] if answer["notUpdated"] else None

    assert await update({"keywords/$seen": True}) is None
    assert await update({"keywords/$flagged": True}) == "forbidden"
    assert await update({f"mailboxIds/{ids['Old']}": True}) == "forbidden"
    assert await update({"mailboxIds": {ids["Open"]: True}}) == "forbidden"
    answer = await call(client, account_id, "Email/set", destroy=[one])
    assert answer["notDestroyed"][one]["type"] == "forbidden"
    # A copy where more is allowed takes nothing away from what is not where the other one is.
    assert await update({f"mailboxIds/{ids['Open']}": True}) is None
    assert await update({"keywords/$flagged": True}) == "forbidden"
    assert await update({f"mailboxIds/{ids['Open']}": None}) is None
    got = await call(client, account_id, "Email/get", ids=[one], properties=["mailboxIds"])
    assert got["list"][0]["mailboxIds"] == {ids["Work"]: True}
