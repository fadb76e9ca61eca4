"""RFC 8621 §2, §2.5: Mailboxes that are created, their names and their parents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.mailbox_set.trees import (
    SERVERS,
    Tree,
    every_server,
    on_server,
    some_servers,
)
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User
from tests.sync.hand import hand

SCRIPTS = (
    "Entwürfe 2024",
    "受信箱 📬",
    "صندوق الوارد",
    "R&D",
    "&AOk-",
    "a~b",
    "50 #1 (all)",
    "{5}",
    "NIL",
    " ",
)


@pytest.mark.checklist("L15", "L09")
@some_servers
async def test_mailboxes_are_created_with_children_in_one_call(
    tree: Tree, server: MailServer, user: User
) -> None:
    """RFC 8620 §5.3: a parent may be one that is created by the same call."""
    before = await tree.ids()
    made = await tree.create(
        grandchild={"name": "c", "parentId": "#child", "isSubscribed": False},
        child={"name": "b", "parentId": "#top"},
        top={"name": "a"},
    )
    shown = await tree.records()
    assert {path: m["id"] for path, m in shown.items() if path not in before} == {
        "a": made["top"],
        "a/b": made["child"],
        "a/b/c": made["grandchild"],
    }
    assert {"a", "a/b", "a/b/c"} <= on_server(server, user)
    assert {"a", "a/b"} <= on_server(server, user, subscribed=True)
    assert [shown[path]["isSubscribed"] for path in ("a", "a/b", "a/b/c")] == [True, True, False]
    assert all(shown["a"]["myRights"].values())


async def test_what_the_server_sets_is_told(tree: Tree) -> None:
    """RFC 8620 §5.3: of a created object, all that the client did not send."""
    answer = await tree.set(create={"k": {"name": "Pre\u0301", "isSubscribed": True}})
    told = answer["created"]["k"]
    shown = (await tree.records())["Pr\u00e9"]
    assert {**shown, **told} == shown
    assert told.keys() == shown.keys() - {"isSubscribed"}
    assert told["name"] == "Pr\u00e9"


@pytest.mark.checklist("L01")
@every_server
async def test_names_of_all_scripts_are_made(tree: Tree, server: MailServer, user: User) -> None:
    """RFC 3501 §5.1.3: modified UTF-7 on the wire; Cyrus takes no brackets."""
    names = [n for n in SCRIPTS if not (isinstance(server, Cyrus) and set(n) & {*"(){}"})]
    made = await tree.create(**{name.encode().hex(): {"name": name} for name in names})
    shown = await tree.ids()
    assert {name: shown[name] for name in names} == {
        name: made[name.encode().hex()] for name in names
    }
    assert set(names) <= on_server(server, user)
    changes: dict[str, Any] = {id_: {"name": f"{n} neu ß"} for n, id_ in enumerate(made.values())}
    await tree.update(**changes)
    assert {f"{n} neu ß" for n in range(len(names))} <= on_server(server, user)


@pytest.mark.checklist("L01")
@pytest.mark.parametrize(
    "name",
    ["", "a\x07b", "a\rb", "a\nb", "\x85", "a\u2028b", "a\u2029", "é" * 128, "x/y", "\x00"],
    ids=ascii,
)
async def test_names_that_can_not_be_are_refused(tree: Tree, name: str) -> None:
    """RFC 8621 §2: at least one character, at most 255 octets, no control characters."""
    ids = await tree.ids()
    for error in (
        await tree.refused("create", "k", {"name": name}),
        await tree.refused("update", ids["Sent"], {"name": name}),
    ):
        assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


@pytest.mark.checklist("L01")
@every_server
async def test_separator_is_no_part_of_a_name(tree: Tree, server: MailServer, user: User) -> None:
    """RFC 9051 §5.1.1: what it is depends on the server; other characters are as good as any."""
    separator = server.options.separator  # type: ignore[attr-defined]
    error = await tree.refused("create", "k", {"name": f"a{separator}b"})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
    if server.options == SERVERS["dovecot-maildir"]:  # type: ignore[attr-defined]
        error = await tree.refused("create", "k", {"name": "a.b"})  # what Maildir++ has it for
        assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
    elif separator == "/":
        await tree.create(k={"name": "a.b"})
        assert "a.b" in on_server(server, user)


@pytest.mark.checklist("L01")
@pytest.mark.parametrize("name", ["..", "~a"])
async def test_name_that_the_server_refuses_is_invalid(tree: Tree, name: str) -> None:
    """RFC 5530 CANNOT."""
    error = await tree.refused("create", "k", {"name": name})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
    sent = (await tree.ids())["Sent"]
    error = await tree.refused("update", sent, {"name": name})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


@pytest.mark.checklist("L01")
@every_server
async def test_longest_names_are_taken(tree: Tree, server: MailServer, user: User) -> None:
    """RFC 8621 §1.3.1: maxSizeMailboxName counts octets of UTF-8."""
    if isinstance(server, Dovecot) and server.options.mail_format == "maildir":
        error = await tree.refused("create", "k", {"name": "x" * 255})
        assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
        made = await tree.create(k={"name": "k"})
        error = await tree.refused("update", made["k"], {"name": "x" * 255})
        assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
        return
    made = await tree.create(k={"name": "x" * 255}, cjk={"name": "字" * 60})
    await tree.update(**{made["k"]: {"name": "y" * 255}})
    assert {"y" * 255, "字" * 60} <= on_server(server, user)


@pytest.mark.checklist("L02")
@some_servers
async def test_siblings_have_different_names(tree: Tree) -> None:
    """RFC 8621 §2: the error names the one there is."""
    made = await tree.create(a={"name": "Caf\u00e9"}, b={"name": "b"})
    for error in (
        await tree.refused("create", "k", {"name": "Cafe\u0301"}),
        await tree.refused("update", made["b"], {"name": "Cafe\u0301"}),
    ):
        assert (error["type"], error["existingId"]) == ("alreadyExists", made["a"])
    await tree.create(child={"name": "b", "parentId": made["a"]})
    error = await tree.refused("update", made["b"], {"parentId": made["a"]})
    assert error["type"] == "alreadyExists"


@pytest.mark.checklist("L02")
async def test_one_of_two_new_siblings_with_one_name_is_made(tree: Tree) -> None:
    answer = await tree.set(create={"a": {"name": "x"}, "b": {"name": "x"}})
    assert [*answer["created"]] == ["a"]
    error = answer["notCreated"]["b"]
    assert (error["type"], error["existingId"]) == ("alreadyExists", answer["created"]["a"]["id"])


@pytest.mark.checklist("L02")
@some_servers
async def test_inbox_is_there_in_any_case(tree: Tree) -> None:
    """RFC 9051 §5.1."""
    inbox = (await tree.ids())["Inbox"]
    for name in ("inbox", "INBOX", "InBoX"):
        error = await tree.refused("create", "k", {"name": name})
        assert (error["type"], error["existingId"]) == ("alreadyExists", inbox)
    made = await tree.create(k={"name": "Inbox-2"})
    error = await tree.refused("update", made["k"], {"name": "iNBOX"})
    assert (error["type"], error["existingId"]) == ("alreadyExists", inbox)


@every_server
async def test_mailboxes_may_be_below_the_inbox(tree: Tree) -> None:
    """RFC 9051 §5.1: also where all mailboxes are, by a prefix that is no level."""
    inbox = (await tree.ids())["Inbox"]
    made = await tree.create(k={"name": "Kid", "parentId": inbox}, top={"name": "Top"})
    assert (await tree.ids())["Inbox/Kid"] == made["k"]
    changes: dict[str, Any] = {made["top"]: {"parentId": inbox}, made["k"]: {"parentId": None}}
    await tree.update(**changes)
    shown = await tree.ids()
    assert (shown["Kid"], shown["Inbox/Top"]) == (made["k"], made["top"])


@pytest.mark.checklist("L03")
async def test_unknown_parent_is_refused(tree: Tree) -> None:
    sent = (await tree.ids())["Sent"]
    for error in (
        await tree.refused("create", "k", {"name": "x", "parentId": "Bnone"}),
        await tree.refused("update", sent, {"parentId": "Bnone"}),
    ):
        assert (error["type"], error["properties"]) == ("invalidProperties", ["parentId"])


@pytest.mark.checklist("L02")
async def test_mailbox_is_read_again_after_each_change(
    tree: Tree, dovecot: Dovecot, server: MailServer, user: User
) -> None:
    """RFC 8620 §5.3: what another client did meanwhile is known when names are compared."""
    await tree.ids()
    with hand(server, user) as other:
        other.create("x")
    error = (await tree.set(create={"k": {"name": "x"}}))["notCreated"]["k"]
    assert (error["type"], error["existingId"]) == ("alreadyExists", (await tree.ids())["x"])
