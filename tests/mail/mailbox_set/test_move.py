"""RFC 8621 §2.5, RFC 9051 §6.3.6: Mailboxes that are renamed and moved, and who may do so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.wire import modutf7
from gateway.store.base import Store
from tests.mail.conftest import Connect
from tests.mail.mailbox_set.trees import (
    Tree,
    every_server,
    on_server,
    reborn,
    some_servers,
    wire,
)
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User, expect_ok, quoted
from tests.sync.hand import hand


@pytest.mark.checklist("L15")
@every_server
async def test_mailboxes_keep_ids_and_mail_wherever_they_go(
    tree: Tree, server: MailServer, user: User, store: Store, tmp_path: Path
) -> None:
    """RFC 8621 §2.5: renamed, moved below another and to the top, with what is below them."""
    made = await tree.create(a={"name": "a"}, b={"name": "b", "parentId": "#a"}, c={"name": "c"})
    a, b, c = made["a"], made["b"], made["c"]
    server.append(user, wire(server, "a"), mail(1))
    server.append(user, wire(server, "a/b"), mail(2))
    emails = {e["id"]: {*e["mailboxIds"]} for e in await tree.client.emails()}
    assert sorted(map(sorted, emails.values())) == sorted([[a], [b]])
    story: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
        ({a: {"name": "ä"}}, {"ä": a, "ä/b": b, "c": c}),
        ({a: {"parentId": c}}, {"c": c, "c/ä": a, "c/ä/b": b}),
        ({b: {"parentId": None, "name": "c c"}}, {"c": c, "c/ä": a, "c c": b}),
        ({c: {"parentId": b, "name": "z"}}, {"c c": b, "c c/z": c, "c c/z/ä": a}),
    )
    before = {path for path in await tree.ids() if path[0] not in "abc"}
    for changes, expected in story:
        await tree.update(**changes)
        shown = await tree.ids()
        assert {path: id_ for path, id_ in shown.items() if path not in before} == expected
        assert set(expected) <= on_server(server, user)
        subscribed = on_server(server, user, subscribed=True)
        assert subscribed - before == set(expected)
        found = await tree.client.emails(properties=["mailboxIds"])
        assert {e["id"]: {*e["mailboxIds"]} for e in found} == emails
    again = await reborn(server, user, store, tmp_path)
    assert {path: m["id"] for path, m in again.items()} == await tree.ids()


@pytest.mark.checklist("L15")
@every_server
async def test_mailboxes_swap_their_names_in_one_call(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 8620 §5.3: what counts is the final state, and nobody sees another one."""
    made = await tree.create(
        a={"name": "a"}, b={"name": "b"}, kid={"name": "kid", "parentId": "#a"}
    )
    await tree.update(**{made["b"]: {"isSubscribed": False}})
    old = (await tree.client.call("Mailbox/get", ids=[]))["state"]
    await tree.update(**{made["a"]: {"name": "b"}, made["b"]: {"name": "a"}})
    shown = await tree.records()
    assert (shown["b"]["id"], shown["a"]["id"]) == (made["a"], made["b"])
    assert shown["b/kid"]["id"] == made["kid"]
    assert (shown["a"]["isSubscribed"], shown["b"]["isSubscribed"]) == (False, True)
    assert {"b", "b/kid"} == on_server(server, user, subscribed=True) & {"a", "b", "b/kid", "a/kid"}
    told = await tree.client.call("Mailbox/changes", sinceState=old)
    assert set(told["updated"]) == {made["a"], made["b"]}
    assert not told["created"] + told["destroyed"]


@pytest.mark.checklist("L15")
@some_servers
async def test_parent_and_child_change_places(tree: Tree) -> None:
    made = await tree.create(a={"name": "x"}, b={"name": "x", "parentId": "#a"})
    a, b = made["a"], made["b"]
    changes: dict[str, Any] = {a: {"parentId": b}, b: {"parentId": None}}
    await tree.update(**changes)
    shown = await tree.ids()
    assert (shown["x"], shown["x/x"]) == (b, a)


@pytest.mark.checklist("L03")
@some_servers
async def test_no_mailbox_gets_below_itself(tree: Tree) -> None:
    made = await tree.create(a={"name": "a"}, b={"name": "b", "parentId": "#a"})
    for parent in made.values():
        error = await tree.refused("update", made["a"], {"parentId": parent})
        assert (error["type"], error["properties"]) == ("invalidProperties", ["parentId"])


async def test_valid_updates_are_made_though_others_are_not(tree: Tree) -> None:
    """RFC 8620 §5.3: each update is made as a whole, or not at all."""
    made = await tree.create(a={"name": "a"}, b={"name": "b"}, c={"name": "c"})
    answer = await tree.set(
        update={
            made["a"]: {"name": "b"},
            made["b"]: {"name": "a", "isSubscribed": False},
            made["c"]: {"name": "Sent", "sortOrder": 3, "isSubscribed": False, "role": "flagged"},
        }
    )
    assert answer["updated"] == {made["a"]: None, made["b"]: None}
    assert answer["notUpdated"][made["c"]]["type"] == "alreadyExists"
    shown = await tree.records()
    assert (shown["a"]["id"], shown["b"]["id"]) == (made["b"], made["a"])
    assert (shown["c"]["sortOrder"], shown["c"]["isSubscribed"]) == (10, True)
    assert shown["c"]["role"] is None


@every_server
async def test_level_that_is_no_mailbox_is_renamed_with_what_is_below(
    tree: Tree, server: MailServer, user: User, store: Store, tmp_path: Path
) -> None:
    """RFC 9051 §6.3.6: and keeps its id, though no server has one for it."""
    with hand(server, user) as other:
        other.create(wire(server, "a/b/c"))
    before = await tree.ids()
    await tree.update(**{before["a"]: {"name": "z"}})
    after = await tree.ids()
    assert {path: after[path] for path in ("z", "z/b", "z/b/c")} == {
        "z": before["a"],
        "z/b": before["a/b"],
        "z/b/c": before["a/b/c"],
    }
    error = await tree.refused("create", "k", {"name": "z"})
    assert (error["type"], error["existingId"]) == ("alreadyExists", before["a"])
    await tree.create(k={"name": "d", "parentId": before["a/b"]})
    await tree.client.account.save()
    again = await reborn(server, user, store, tmp_path)
    assert {path: m["id"] for path, m in again.items()} == await tree.ids()
    answer = await tree.set(destroy=[(await tree.ids())[p] for p in ("z", "z/b", "z/b/c", "z/b/d")])
    assert not answer["notDestroyed"]
    assert {path for path in await tree.ids() if path.startswith("z")} == set()


@pytest.mark.checklist("L15")
async def test_names_that_another_client_made_are_kept_as_they_are(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 8621 §2: a mailbox that only moves is not spelled anew on the server."""
    decomposed = modutf7.encode("Cafe\u0301").decode()
    with hand(server, user) as other:
        other.create(decomposed, "a")
    ids = await tree.ids()
    await tree.update(**{ids["Caf\u00e9"]: {"parentId": ids["a"]}})
    assert (await tree.ids())["a/Caf\u00e9"] == ids["Caf\u00e9"]
    with server.imap(user) as client:
        assert client.select(quoted(f"a/{decomposed}"))[0] == "OK"


@pytest.mark.checklist("L09")
@some_servers
async def test_subscriptions_are_the_users_on_the_server(
    tree: Tree, server: MailServer, user: User
) -> None:
    made = await tree.create(a={"name": "a"}, b={"name": "b", "isSubscribed": False})
    await tree.update(**{made["a"]: {"isSubscribed": False}, made["b"]: {"isSubscribed": True}})
    assert on_server(server, user, subscribed=True) & {"a", "b"} == {"b"}
    await tree.update(**{made["b"]: {"isSubscribed": False, "name": "c"}})
    assert on_server(server, user, subscribed=True) & {"a", "b", "c"} == set()
    assert not (await tree.records())["c"]["isSubscribed"]


@pytest.mark.checklist("L09")
async def test_no_subscription_is_left_of_a_mailbox_that_is_gone(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 9051 §6.3.7: a new mailbox of that name would have it."""
    made = await tree.create(a={"name": "a"})
    await tree.destroy(made["a"])
    with server.imap(user) as client:
        assert client.lsub(quoted(""), "a")[1] == [None]
    await tree.create(k={"name": "a", "isSubscribed": False})
    assert not (await tree.records())["a"]["isSubscribed"]


@some_servers
async def test_inbox_stays(tree: Tree) -> None:
    """RFC 8621 §2: myRights says so."""
    ids = await tree.ids()
    for change in (
        {"name": "x"},
        {"parentId": (await tree.create(k={"name": "k"}))["k"]},
        {"role": None},
        {"isSubscribed": False},
    ):
        error = await tree.refused("update", ids["Inbox"], change)
        assert error["type"] == "forbidden"
    error = await tree.refused("destroy", ids["Inbox"], None, onDestroyRemoveEmails=True)
    assert error["type"] == "forbidden"
    await tree.update(**{ids["Inbox"]: {"sortOrder": 77}})
    assert (await tree.records())["Inbox"]["sortOrder"] == 77


@pytest.mark.checklist("L15", "L18")
async def test_rights_are_obeyed(connect: Connect, start_dovecot: Callable[..., Dovecot]) -> None:
    """RFC 4314 §4: on a server that tells them, before it is asked."""
    server = start_dovecot(acl=True)
    user = server.add_user()
    server.create(user, "Work")
    with server.imap(user) as client:
        expect_ok(client.setacl("Work", "owner", "lrsw"))
    tree = Tree(await connect(server, user))
    ids = await tree.ids()
    changes: tuple[tuple[str, str, Any], ...] = (
        ("update", ids["Work"], {"name": "x"}),
        ("update", ids["Work"], {"parentId": ids["Sent"]}),
        ("update", ids["Sent"], {"parentId": ids["Work"]}),
        ("create", "k", {"name": "x", "parentId": ids["Work"]}),
        ("destroy", ids["Work"], None),
    )
    for kind, key, change in changes:
        assert (await tree.refused(kind, key, change))["type"] == "forbidden"
    await tree.update(**{ids["Work"]: {"isSubscribed": False, "sortOrder": 2}})
