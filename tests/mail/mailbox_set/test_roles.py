"""RFC 8621 §2, RFC 6154: roles and sortOrder, which most IMAP servers can not keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.store.base import Store
from tests.mail.client import connected
from tests.mail.conftest import Connect
from tests.mail.mailbox_set.trees import (
    Tree,
    every_server,
    reborn,
    some_servers,
)
from tests.servers.cyrus import Cyrus
from tests.servers.mail_server import MailServer, User


@pytest.mark.checklist("L04", "L15")
@every_server
async def test_roles_are_chosen_swapped_and_given_up(
    tree: Tree, server: MailServer, user: User, store: Store, tmp_path: Path
) -> None:
    """RFC 8621 §2: also where the server can not keep them, and when the index is lost."""
    held = (await tree.roles()).keys()
    made = await tree.create(
        **{
            role: {"name": f"my {role}", "role": role}
            for role in ("flagged", "important", "snoozed", "sent")
            if role not in held
        }
    )
    ids = {m["role"]: m["id"] for m in (await tree.records()).values()}
    assert {role: ids[role] for role in made} == made
    flagged, important, sent = ids["flagged"], ids["important"], ids["sent"]
    changes: dict[str, Any] = {
        flagged: {"role": "important", "name": "was flagged"},
        important: {"role": "flagged"},
        sent: {"role": None},
    }
    await tree.update(**changes)
    expected = {flagged: "important", important: "flagged", sent: None}
    for _ in range(2):
        shown = {m["id"]: m["role"] for m in (await tree.records()).values()}
        assert {id_: shown[id_] for id_ in expected} == expected
        await tree.client.account.recheck()
    await store.delete_account(tree.client.account.id)
    again = await reborn(server, user, store, tmp_path)
    shown = {m["id"]: m["role"] for m in again.values()}
    assert {id_: shown[id_] for id_ in expected} == expected


@pytest.mark.checklist("L04")
async def test_role_belongs_to_one_mailbox(tree: Tree) -> None:
    ids = await tree.ids()
    made = await tree.create(k={"name": "k"})
    for error in (
        await tree.refused("create", "k", {"name": "x", "role": "sent"}),
        await tree.refused("update", made["k"], {"role": "sent"}),
        await tree.refused("update", made["k"], {"role": "inbox"}),
        await tree.refused("update", ids["Drafts"], {"role": "trash"}),
        await tree.refused("update", made["k"], {"role": "Sent"}),
        await tree.refused("update", made["k"], {"role": "nonsense"}),
    ):
        assert (error["type"], error["properties"]) == ("invalidProperties", ["role"])


@pytest.mark.checklist("L04")
async def test_all_that_is_wrong_is_told_at_once(tree: Tree) -> None:
    """RFC 8620 §5.3: properties lists all of them."""
    wrong = {"name": "\x01", "role": "none", "sortOrder": 2**31}
    error = await tree.refused("create", "k", wrong)
    assert set(error["properties"]) == {*wrong}


@pytest.mark.checklist("L04", "L15")
@some_servers
async def test_role_stays_with_a_mailbox_that_is_renamed(tree: Tree) -> None:
    """On Dovecot it goes by the name, under which there is another mailbox at once."""
    roles = await tree.roles()
    if "trash" not in roles:
        await tree.create(k={"name": "Papierkorb"})
        roles = await tree.roles()
    trash = (await tree.ids())[roles["trash"]]
    await tree.update(**{trash: {"name": "Müll"}})
    assert (await tree.roles())["trash"] == "Müll"
    if "Trash" in (others := await tree.records()):
        assert others["Trash"]["role"] is None


@pytest.mark.checklist("L04")
@pytest.mark.parametrize("server", ["dovecot-plain"], indirect=True)
async def test_no_role_is_lost_to_a_new_name(tree: Tree) -> None:
    """A role that goes by the name only goes to the only one with such a name."""
    made = await tree.create(a={"name": "Sent"})
    assert (await tree.roles())["sent"] == "Sent"
    await tree.create(b={"name": "Gesendet"})
    assert (await tree.roles())["sent"] == "Sent"
    await tree.update(**{made["a"]: {"role": None}})
    assert "sent" not in await tree.roles()


@pytest.mark.checklist("L04")
async def test_special_use_is_set_where_the_server_keeps_it(
    connect: Connect, start_cyrus: Callable[..., Cyrus]
) -> None:
    """RFC 6154 §3: CREATE-SPECIAL-USE; other clients see it as well."""
    cyrus = start_cyrus(special_use=False)
    user = cyrus.add_user()
    tree = Tree(await connect(cyrus, user))
    made = await tree.create(a={"name": "Ablage", "role": "archive"})
    with cyrus.imap(user) as client:
        _, lines = client._simple_command("LIST", '""', "*", "RETURN", "(SPECIAL-USE)")
        _, lines = client._untagged_response("OK", lines, "LIST")
    assert any(b"\\Archive" in line and b"Ablage" in line for line in lines)
    assert tree.client.account.data.mailboxes[made["a"]].choice.role is None


@pytest.mark.checklist("L05")
@some_servers
async def test_sort_order_is_kept(
    tree: Tree, server: MailServer, user: User, store: Store, tmp_path: Path
) -> None:
    """RFC 8621 §2: IMAP has no place for it; it outlives the index and a new name."""
    made = await tree.create(a={"name": "a", "sortOrder": 0}, b={"name": "b"})
    await tree.update(**{made["b"]: {"sortOrder": 2**31 - 1}})
    await tree.update(**{made["b"]: {"name": "c"}})
    shown = await tree.records()
    assert (shown["a"]["sortOrder"], shown["c"]["sortOrder"]) == (0, 2**31 - 1)
    await store.delete_account(tree.client.account.id)
    again = await reborn(server, user, store, tmp_path)
    assert (again["a"]["sortOrder"], again["c"]["sortOrder"]) == (0, 2**31 - 1)
    assert (again["a"]["id"], again["c"]["id"]) == (made["a"], made["b"])


@pytest.mark.checklist("L05")
async def test_sort_order_has_bounds(tree: Tree) -> None:
    sent = (await tree.ids())["Sent"]
    for value in (2**31, -1, 1.5, "1"):
        error = await tree.refused("update", sent, {"sortOrder": value})
        assert (error["type"], error["properties"]) == ("invalidProperties", ["sortOrder"])


@pytest.mark.checklist("L05")
async def test_sort_order_is_the_gateways_again(tree: Tree) -> None:
    """RFC 8620 §5.3: null in a patch is the default value."""
    sent = await tree.records()
    id_, default = sent["Sent"]["id"], sent["Sent"]["sortOrder"]
    await tree.update(**{id_: {"sortOrder": 50}})
    await tree.set(update={id_: {"sortOrder": None}})
    assert (await tree.records())["Sent"]["sortOrder"] == default


@pytest.mark.checklist("L04", "L05")
async def test_other_nodes_show_what_was_chosen(
    tree: Tree, server: MailServer, user: User, store: Store, tmp_path: Path
) -> None:
    """Design §7: and take it for good, when they look at the server themselves."""
    await tree.client.account.indexed()
    await tree.client.account.save()
    async with connected(server, user, tmp_path, store) as client:
        other = Tree(client)
        await other.records()
        sent = (await tree.ids())["Sent"]
        made = await tree.create(k={"name": "k", "role": "important", "sortOrder": 4})
        await tree.update(**{sent: {"role": None, "sortOrder": 5}})
        for _ in range(2):
            shown = {m["id"]: m for m in (await other.records()).values()}
            assert (shown[sent]["role"], shown[sent]["sortOrder"]) == (None, 5)
            assert (shown[made["k"]]["role"], shown[made["k"]]["sortOrder"]) == ("important", 4)
        await other.update(**{sent: {"role": "sent"}})
        assert (await tree.roles())["sent"] == "Sent"
