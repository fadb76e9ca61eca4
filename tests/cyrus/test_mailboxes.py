"""RFC 2342, RFC 4314, RFC 6154 on Cyrus: whose mailboxes are where, and what may be done there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cyrus.conftest import Connect
from tests.mail.messages import mail
from tests.servers.cyrus import Cyrus
from tests.servers.cyrus_config import ADMIN
from tests.servers.mail_server import DOMAIN, MailServer, User, expect_ok, quoted

OWN = {"Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive"}
ROLES = {
    "Inbox": "inbox",
    "Drafts": "drafts",
    "Sent": "sent",
    "Trash": "trash",
    "Junk": "junk",
    "Archive": "archive",
}
every_namespace = pytest.mark.parametrize(
    "options",
    [
        {},
        {"altnamespace": False, "unixhierarchysep": False},
        {"altnamespace": False},
        {"unixhierarchysep": False, "virtdomains": "userid"},
    ],
    ids=["alternative", "internal", "internal-slash", "domains-dot"],
)


def share(server: MailServer, owner: User, mailbox: str, reader: User, rights: str) -> None:
    with server.imap(owner) as client:
        expect_ok(client.setacl(quoted(mailbox), quoted(reader.username), rights))


def public(server: Cyrus, mailbox: str) -> None:
    """Make a mailbox of nobody that everybody may read and write to."""
    if server.options.virtdomains != "off":
        mailbox = f"{mailbox}@{DOMAIN}"
    with server.imap(User(ADMIN, "any")) as client:
        expect_ok(client.create(quoted(mailbox)))
        expect_ok(client.setacl(quoted(mailbox), "anyone", "lrswi"))


def by_path(mailboxes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    by_id = {mailbox["id"]: mailbox for mailbox in mailboxes}

    def path(mailbox: dict[str, Any]) -> str:
        parent = mailbox["parentId"]
        return f"{path(by_id[parent])}/{mailbox['name']}" if parent else str(mailbox["name"])

    return {path(mailbox): mailbox for mailbox in mailboxes}


@pytest.mark.checklist("L03", "L04")
@every_namespace
async def test_own_mailboxes_are_shown_alike_in_every_namespace(
    options: dict[str, Any], connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 2342: "INBOX." is no level, and a dot may stand in a name where it separates nothing."""
    server = start_cyrus(**options)
    user = server.add_user()
    separator = server.options.separator
    work = f"{server.options.prefix}Work"
    server.create(user, work, f"{work}{separator}R&-D")
    server.append(user, f"{work}{separator}R&-D", mail())
    client = await connect(server, user)
    await client.query()
    shown = by_path(await client.mailboxes())
    assert {path: m["role"] for path, m in shown.items() if m["role"]} == ROLES
    assert shown.keys() == OWN | {"Work", "Work/R&D"}
    assert shown["Work/R&D"]["totalEmails"] == 1
    assert all(m["myRights"]["mayReadItems"] for m in shown.values())


@pytest.mark.checklist("L04", "L09")
@every_namespace
async def test_mailboxes_of_others_are_shown_with_what_may_be_done(
    options: dict[str, Any], connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 2342, RFC 4314: each user's in an account of its own, and what is nobody's in another."""
    server = start_cyrus(**options)
    owner, reader = server.add_user(), server.add_user()
    prefix, separator = server.options.prefix, server.options.separator
    server.create(owner, f"{prefix}Work{separator}Reports")
    share(server, owner, "INBOX", reader, "lr")
    share(server, owner, f"{prefix}Sent", reader, "lrsi")
    share(server, owner, f"{prefix}Work{separator}Reports", reader, "lr")
    public(server, "Trash")
    server.append(owner, "INBOX", mail(1))
    server.append(owner, f"{prefix}Sent", mail(2))
    client = await connect(server, reader)
    assert by_path(await client.mailboxes()).keys() == OWN
    assert await client.query() == []
    shared = await client.shared()
    name = owner.username.partition("@")[0]
    assert len(shared) == 2
    theirs, (common,) = shared.pop(name), shared.values()
    ids = await theirs.query()
    shown = by_path(await theirs.mailboxes())
    roles = {"Inbox": "inbox", "Sent": "sent", "Work": None, "Work/Reports": None}
    assert {path: m["role"] for path, m in shown.items()} == roles
    inbox, sent = shown["Inbox"], shown["Sent"]
    assert inbox["totalEmails"] == sent["totalEmails"] == 1
    assert inbox["myRights"] == {**dict.fromkeys(inbox["myRights"], False), "mayReadItems": True}
    assert sent["myRights"]["maySetSeen"]
    assert sent["myRights"]["mayAddItems"]
    assert not sent["myRights"]["mayRemoveItems"]
    assert not any(shown["Work"]["myRights"].values())
    emails = await theirs.emails(ids, ["mailboxIds", "subject"])
    assert {*emails[0]["mailboxIds"], *emails[1]["mailboxIds"]} == {inbox["id"], sent["id"]}
    (trash,) = await common.mailboxes()
    assert (trash["name"].partition("@")[0], trash["role"]) == ("Trash", None)
    assert trash["myRights"]["mayAddItems"]


@pytest.mark.checklist("A09")
async def test_ids_are_those_of_the_server(connect: Connect, cyrus: Cyrus) -> None:
    """RFC 8474 §4: as SELECT tells them; STATUS of Cyrus 3.6 does not."""
    user = cyrus.add_user()
    cyrus.create(user, "Work")
    shown = by_path(await (await connect(cyrus, user)).mailboxes("id", "name", "parentId"))
    with cyrus.imap(user) as client:
        for path, mailbox in shown.items():
            client.select("INBOX" if path == "Inbox" else path, readonly=True)
            (given,) = client.response("MAILBOXID")[1]
            assert given is not None
            known = given.decode().strip("()")
            assert mailbox["id"] in (known, f"B{known}")


@pytest.mark.checklist("L04")
async def test_without_special_use_names_decide(
    connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 8621 §2: at the root of the user's own namespace only."""
    server = start_cyrus(special_use=False, altnamespace=False)
    user = server.add_user()
    server.create(user, "INBOX/Papierkorb", "INBOX/Work", "INBOX/Work/Sent", "INBOX/[Spam]")
    public(server, "Drafts")
    shown = by_path(await (await connect(server, user)).mailboxes())
    assert {path: m["role"] for path, m in shown.items() if m["role"]} == {
        "Inbox": "inbox",
        "Papierkorb": "trash",
        "[Spam]": "junk",
    }
    assert "Work/Sent" in shown


@pytest.mark.checklist("L05")
async def test_subscriptions_are_told(connect: Connect, cyrus: Cyrus) -> None:
    """RFC 5258 §3.4."""
    user = cyrus.add_user()
    with cyrus.imap(user) as imap:
        expect_ok(imap.create("New"))
    client = await connect(cyrus, user)
    assert not by_path(await client.mailboxes())["New"]["isSubscribed"]
    with cyrus.imap(user) as imap:
        expect_ok(imap.subscribe("New"))
    assert by_path(await client.mailboxes())["New"]["isSubscribed"]
