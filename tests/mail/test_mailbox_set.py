"""RFC 8621 §2.5: Mailbox/set, on servers with all kinds of names, ids and roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.wire import modutf7
from gateway.store.base import Store
from gateway.store.opening import open_store
from tests.mail.client import connected
from tests.mail.conftest import Connect
from tests.mail.mailbox_tree import SERVERS, Tree, on_server, servers, wire
from tests.mail.messages import mail
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User, expect_ok, quoted
from tests.sync.hand import hand

every_server = pytest.mark.parametrize("server", SERVERS, indirect=True)
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


@pytest.fixture(scope="session")
def _named() -> Iterator[Callable[[str], MailServer]]:
    yield from servers()


@pytest.fixture
def server(request: pytest.FixtureRequest, _named: Callable[[str], MailServer]) -> MailServer:
    """Give the server a test names as its parameter, or the usual one."""
    return _named(getattr(request, "param", "dovecot"))


@pytest.fixture
def user(server: MailServer) -> User:
    """Give a user whom no other test knows."""
    return server.add_user()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store of the test's own."""
    return open_store("memory://", b"x" * 32, tmp_path)


@pytest.fixture
async def tree(server: MailServer, user: User, store: Store, tmp_path: Path) -> AsyncIterator[Tree]:
    """Give the Mailboxes of the user."""
    async with connected(server, user, tmp_path, store) as client:
        yield Tree(client)


async def reborn(server: MailServer, user: User, store: Store, tmp_path: Path) -> dict[str, Any]:
    """The Mailboxes as a gateway shows them that is started anew on that store."""
    async with connected(server, user, tmp_path, store) as client:
        return await Tree(client).records()


# --- create -------------------------------------------------------------------------------------


@pytest.mark.checklist("L15", "L09")
@every_server
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
@every_server
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
@every_server
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


# --- rename and move ----------------------------------------------------------------------------


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
@every_server
async def test_parent_and_child_change_places(tree: Tree) -> None:
    made = await tree.create(a={"name": "x"}, b={"name": "x", "parentId": "#a"})
    a, b = made["a"], made["b"]
    changes: dict[str, Any] = {a: {"parentId": b}, b: {"parentId": None}}
    await tree.update(**changes)
    shown = await tree.ids()
    assert (shown["x"], shown["x/x"]) == (b, a)


@pytest.mark.checklist("L03")
@every_server
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


# --- subscriptions ------------------------------------------------------------------------------


@pytest.mark.checklist("L09")
@every_server
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


# --- the inbox ----------------------------------------------------------------------------------


@every_server
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


# --- roles --------------------------------------------------------------------------------------


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
@every_server
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


# --- sortOrder ----------------------------------------------------------------------------------


@pytest.mark.checklist("L05")
@every_server
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


# --- destroy ------------------------------------------------------------------------------------


@pytest.mark.checklist("L16")
@every_server
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


# --- rights -------------------------------------------------------------------------------------


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
