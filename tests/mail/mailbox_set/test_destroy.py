"""RFC 8621 §2.5: Mailboxes that are destroyed, with and without their mail."""

from __future__ import annotations

import pytest

from tests.mail.mailbox_set.trees import (
    Tree,
    every_server,
    on_server,
    some_servers,
    wire,
)
from tests.mail.messages import mail
from tests.servers.mail_server import MailServer, User, expect_ok, quoted


@pytest.mark.checklist("L16")
@some_servers
async def test_mailbox_with_children_is_not_destroyed(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 8621 §2.5: nor is its mail removed; children of the same call go first."""
    made = await tree.create(a={"name": "a"}, b={"name": "b", "parentId": "#a"})
    server.append(user, wire(server, "a"), mail(1))
    error = await tree.refused("destroy", made["a"], None, onDestroyRemoveEmails=True)
    assert error["type"] == "mailboxHasChild"
    assert (await tree.records())["a"]["totalEmails"] == 1
    await tree.destroy(made["a"], made["b"], onDestroyRemoveEmails=True)
    assert not on_server(server, user) & {"a", "a/b"}


@pytest.mark.checklist("L17")
@every_server
async def test_mailbox_with_mail_is_destroyed_if_that_is_asked_for(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 8621 §2.5: an Email that is in another Mailbox stays there."""
    made = await tree.create(a={"name": "a"}, b={"name": "b"})
    server.append(user, wire(server, "a"), mail(1))
    server.append(user, wire(server, "a"), mail(2))
    with server.imap(user) as client:
        client.select(quoted(wire(server, "a")))
        expect_ok(client.copy("1", quoted(wire(server, "b"))))
    error = await tree.refused("destroy", made["a"], None)
    assert error["type"] == "mailboxHasEmail"
    await tree.destroy(made["a"], onDestroyRemoveEmails=True)
    ((email),) = await tree.client.emails(properties=["mailboxIds"])
    assert email["mailboxIds"] == {made["b"]: True}


@pytest.mark.checklist("L17")
async def test_child_that_stays_keeps_its_parent(
    tree: Tree, server: MailServer, user: User
) -> None:
    made = await tree.create(a={"name": "a"}, b={"name": "b", "parentId": "#a"})
    server.append(user, wire(server, "a/b"), mail(1))
    answer = await tree.set(destroy=[made["a"], made["b"]])
    assert {id_: error["type"] for id_, error in answer["notDestroyed"].items()} == {
        made["a"]: "mailboxHasChild",
        made["b"]: "mailboxHasEmail",
    }


@pytest.mark.checklist("L17")
async def test_what_is_deleted_on_the_server_is_no_mail(
    tree: Tree, server: MailServer, user: User
) -> None:
    r"""RFC 8621 §2: \Deleted copies do not exist for JMAP."""
    made = await tree.create(a={"name": "a"})
    server.append(user, "a", mail(1), ["\\Deleted"])
    await tree.destroy(made["a"])


@pytest.mark.checklist("L18")
async def test_mailbox_that_is_not_there_is_not_found(tree: Tree) -> None:
    assert (await tree.refused("destroy", "Bnone", None))["type"] == "notFound"
    assert (await tree.refused("update", "Bnone", {"name": "x"}))["type"] == "notFound"
