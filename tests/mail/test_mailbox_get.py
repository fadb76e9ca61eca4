"""RFC 8621 §2, §2.1: Mailboxes are the server's, with JMAP's names, roles, rights and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.imap.wire import modutf7
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User, quoted

PROPERTIES = {
    *("id", "name", "parentId", "role", "sortOrder", "totalEmails", "unreadEmails"),
    *("totalThreads", "unreadThreads", "myRights", "isSubscribed"),
}
RIGHTS = {
    *("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords"),
    *("mayCreateChild", "mayRename", "mayDelete", "maySubmit"),
}
SCRIPTS = (
    "Entwürfe 2024",
    "Входящие",
    "受信箱",
    "صندوق الوارد",
    "📬 and 👩‍👩‍👧",
    "R&D",
    "&",
    "&AOk-",
    "a~b",
    'quo"ted',
    "back\\slash",
    "50% of * (all)",
    "{5}",
)


async def by_name(client: Client) -> dict[str, dict[str, Any]]:
    return {mailbox["name"]: mailbox for mailbox in await client.mailboxes()}


# --- RFC 8620 §5.1 ------------------------------------------------------------------------------


@pytest.mark.checklist("D01", "D09", "L10")
async def test_without_ids_all_mailboxes_are_given_with_all_properties(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2.1."""
    dovecot.create(mailuser, "Work", "Work/Reports")
    got = await client.call("Mailbox/get", ids=None)
    assert got["accountId"] == client.account.id
    assert {m["name"] for m in got["list"]} == {
        *("Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive", "Work", "Reports"),
    }
    assert all(m.keys() == PROPERTIES for m in got["list"])
    assert all(m["myRights"].keys() == RIGHTS for m in got["list"])
    assert got["notFound"] == []


@pytest.mark.checklist("D02", "D04", "D06", "D07")
async def test_only_what_was_asked_for_is_given(client: Client) -> None:
    """RFC 8620 §5.1."""
    inbox = (await client.paths())["Inbox"]
    got = await client.call(
        "Mailbox/get", ids=[inbox, "Bmissing", inbox, "no id!", "Bmissing"], properties=["name"]
    )
    assert got["list"] == [{"id": inbox, "name": "Inbox"}]
    assert got["notFound"] == ["Bmissing", "no id!"]
    nothing = await client.call("Mailbox/get", ids=[])
    assert (nothing["list"], nothing["notFound"]) == ([], [])


@pytest.mark.checklist("D05")
async def test_property_that_no_mailbox_has_is_refused(client: Client) -> None:
    """RFC 8620 §5.1."""
    with pytest.raises(Refused) as refused:
        await client.call("Mailbox/get", ids=[], properties=["name", "colour"])
    assert refused.value.type == "invalidArguments"


# --- names and hierarchy ------------------------------------------------------------------------


@pytest.mark.checklist("L01")
async def test_names_are_shown_in_every_script(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2, RFC 9051 §A.1: modified UTF-7 stays on the wire."""
    dovecot.create(mailuser, *(modutf7.encode(name).decode() for name in SCRIPTS))
    assert set(SCRIPTS) <= (await by_name(client)).keys()


@pytest.mark.checklist("L01")
async def test_name_is_in_normal_form_c(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §2: Net-Unicode (RFC 5198)."""
    dovecot.create(mailuser, modutf7.encode("Pre\u0301sentations").decode())
    assert "Pr\u00e9sentations" in await by_name(client)


async def test_siblings_whose_names_become_one_are_told_apart(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: no two siblings have one name, and neither's mail is lost."""
    names = [modutf7.encode(name).decode() for name in ("Cafe\u0301", "Caf\u00e9")]
    dovecot.create(mailuser, *names)
    for number, name in enumerate(names):
        dovecot.append(mailuser, name, mail(number))
    await client.query()
    cafes = [m for m in await client.mailboxes() if m["name"].startswith("Caf\u00e9")]
    assert len({m["name"] for m in cafes}) == len({m["id"] for m in cafes}) == 2
    assert [m["totalEmails"] for m in cafes] == [1, 1]


@pytest.mark.checklist("L03")
async def test_parents_are_those_of_the_hierarchy(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: parentId."""
    dovecot.create(mailuser, "A", "A/B", "A/B/C", "INBOX/Lists")
    paths = await client.paths()
    assert {"A", "A/B", "A/B/C", "Inbox", "Inbox/Lists"} <= paths.keys()
    parents = {m["id"]: m["parentId"] for m in await client.mailboxes("parentId")}
    for start in parents:
        seen = set()
        id_: str | None = start
        while id_ is not None:
            assert id_ not in seen
            seen.add(id_)
            id_ = parents[id_]


@pytest.mark.checklist("L03")
async def test_level_without_a_mailbox_of_its_own_is_a_mailbox_without_mail(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    r"""RFC 8621 §2: every parentId is the id of a Mailbox, also where IMAP says \NonExistent."""
    dovecot.create(mailuser, "Projects/2024/Bridge")
    with dovecot.imap(mailuser) as imap:
        imap.delete("Projects/2024")
    mailboxes = {m["name"]: m for m in await client.mailboxes()}
    assert mailboxes["Bridge"]["parentId"] == mailboxes["2024"]["id"]
    assert mailboxes["2024"]["parentId"] == mailboxes["Projects"]["id"]
    assert mailboxes["2024"]["totalEmails"] == 0
    assert not mailboxes["2024"]["myRights"]["mayReadItems"]
    assert not mailboxes["2024"]["myRights"]["mayAddItems"]


async def test_prefix_of_the_namespace_is_no_level(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 2342: personal mailboxes live below "INBOX.", which is none of their names."""
    server = start_dovecot(prefix="INBOX.", separator=".")
    user = server.add_user()
    server.create(user, "INBOX.Work", "INBOX.Work.Reports")
    paths = await (await connect(server, user)).paths()
    assert paths.keys() == {
        *("Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive", "Work", "Work/Reports"),
    }


async def test_id_stays_when_a_mailbox_is_renamed_and_moved(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: the id of a Mailbox is immutable; another program renames parent and child."""
    dovecot.create(mailuser, "Work", "Work/Reports", "Old")
    dovecot.append(mailuser, "Work/Reports", mail())
    before = await client.paths()
    with dovecot.imap(mailuser) as imap:
        imap.rename("Work", "Old/Labour")
    after = await client.paths()
    assert after["Old/Labour"] == before["Work"]
    assert after["Old/Labour/Reports"] == before["Work/Reports"]
    assert len(await client.query({"inMailbox": before["Work/Reports"]})) == 1


async def test_mailbox_made_anew_under_an_old_name_has_a_new_id(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §1.2: an id is never used again for something else."""
    dovecot.create(mailuser, "Work")
    before = (await client.paths())["Work"]
    with dovecot.imap(mailuser) as imap:
        imap.delete("Work")
    assert "Work" not in await client.paths()
    dovecot.create(mailuser, "Work")
    assert (await client.paths())["Work"] != before
    got = await client.call("Mailbox/get", ids=[before])
    assert got["notFound"] == [before]


# --- roles, subscription ------------------------------------------------------------------------


@pytest.mark.checklist("L04", "L05")
async def test_special_use_gives_the_roles(client: Client) -> None:
    """RFC 8621 §2, RFC 6154."""
    mailboxes = await by_name(client)
    assert {name: m["role"] for name, m in mailboxes.items()} == {
        "Inbox": "inbox",
        "Drafts": "drafts",
        "Sent": "sent",
        "Trash": "trash",
        "Junk": "junk",
        "Archive": "archive",
    }
    assert all(0 <= m["sortOrder"] < 2**31 for m in mailboxes.values())


@pytest.mark.checklist("L04")
async def test_of_two_mailboxes_with_one_use_only_one_has_the_role(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8621 §2: no two Mailboxes of an account have the same role."""
    server = start_dovecot(
        special_use=False,
        extra="""
namespace inbox {
  mailbox Sent {
    special_use = \\Sent
    auto = create
  }
  mailbox "Sent Messages" {
    special_use = \\Sent
    auto = create
  }
  mailbox Both {
    special_use = \\Drafts \\Junk
    auto = create
  }
}
""",
    )
    user = server.add_user()
    roles = [m["role"] for m in await (await connect(server, user)).mailboxes("role")]
    held = [role for role in roles if role is not None]
    assert sorted(held) in (["drafts", "inbox", "sent"], ["inbox", "junk", "sent"])


@pytest.mark.checklist("L04")
async def test_without_special_use_names_at_the_root_give_the_roles(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8621 §2: a name that only looks like one further down is no role."""
    server = start_dovecot(special_use=False)
    user = server.add_user()
    names = ("Gesendet", "Papierkorb", "Spam", "Work", "Work/Drafts")
    server.create(user, *names, modutf7.encode("Entwürfe").decode())
    roles = {m["name"]: m["role"] for m in await (await connect(server, user)).mailboxes()}
    assert roles == {
        "Inbox": "inbox",
        "Gesendet": "sent",
        "Papierkorb": "trash",
        "Spam": "junk",
        "Entwürfe": "drafts",
        "Work": None,
        "Drafts": None,
    }


@pytest.mark.checklist("L09")
async def test_subscription_is_that_of_imap(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2: isSubscribed."""
    dovecot.create(mailuser, "Followed", "Left alone")
    with dovecot.imap(mailuser) as imap:
        imap.unsubscribe(quoted("Left alone"))
    mailboxes = await by_name(client)
    assert mailboxes["Followed"]["isSubscribed"] is True
    assert mailboxes["Left alone"]["isSubscribed"] is False


# --- rights -------------------------------------------------------------------------------------


@pytest.mark.checklist("L08")
async def test_without_acl_everything_is_allowed_but_moving_the_inbox(client: Client) -> None:
    """RFC 8621 §2: myRights."""
    mailboxes = await by_name(client)
    assert mailboxes["Archive"]["myRights"] == dict.fromkeys(RIGHTS, True)
    denied = {name for name, allowed in mailboxes["Inbox"]["myRights"].items() if not allowed}
    assert denied == {"mayRename", "mayDelete"}


@pytest.mark.checklist("L08")
async def test_rights_in_a_shared_mailbox_are_those_of_its_acl(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8621 §2, RFC 4314 §4: MYRIGHTS, letter by letter; without "l" it is not there at all."""
    server = start_dovecot(acl=True)
    owner, other = server.add_user(), server.add_user()
    granted = {
        "Readable": "lr",
        "Drop": "lrip",
        "Marked": "lrsw",
        "Weeded": "lrte",
        "Halfway": "lrt",
        "Built": "lrkx",
        "Hidden": "rswite",
    }
    server.create(owner, *granted)
    with server.imap(owner) as imap:
        for name, letters in granted.items():
            assert imap.setacl(name, other.username, letters)[0] == "OK"
    shared = await (await connect(server, other)).shared()
    mailboxes = await by_name(shared[owner.username])
    allowed = {
        name: {right for right, is_allowed in m["myRights"].items() if is_allowed}
        for name, m in mailboxes.items()
        if name in granted
    }
    assert allowed == {
        "Readable": {"mayReadItems"},
        "Drop": {"mayReadItems", "mayAddItems", "maySubmit"},
        "Marked": {"mayReadItems", "maySetSeen", "maySetKeywords"},
        "Weeded": {"mayReadItems", "mayRemoveItems"},
        "Halfway": {"mayReadItems"},
        "Built": {"mayReadItems", "mayCreateChild", "mayRename", "mayDelete"},
    }
