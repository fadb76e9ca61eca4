"""RFC 8621 §2.3: Mailbox/query."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mail.client import Client, Refused
from tests.servers.dovecot import Dovecot, User, quoted

BY_NAME = [{"property": "name"}]


@pytest.fixture
async def paths(client: Client, dovecot: Dovecot, mailuser: User) -> dict[str, str]:
    """Give the Mailboxes' paths by id: the six with a role, and a tree of five."""
    dovecot.create(mailuser, "work", "work/Zebra", "work/apple", "work/apple/Core", "Mango")
    with dovecot.imap(mailuser) as imap:
        imap.subscribe("INBOX")
        imap.unsubscribe(quoted("Mango"))
    return {id_: path for path, id_ in (await client.paths()).items()}


async def ask(client: Client, paths: dict[str, str], **arguments: Any) -> list[str]:
    """Paths of the Mailboxes that a query gives, in order."""
    answer = await client.call("Mailbox/query", **arguments)
    return [paths[id_] for id_ in answer["ids"]]


def id_of(paths: dict[str, str], path: str) -> str:
    return next(id_ for id_, known in paths.items() if known == path)


@pytest.mark.checklist("H01", "L13")
async def test_without_a_filter_all_match(client: Client, paths: dict[str, str]) -> None:
    """RFC 8620 §5.5."""
    for filter_ in (None, {}, {"operator": "AND", "conditions": []}):
        assert set(await ask(client, paths, filter=filter_)) == set(paths.values())


@pytest.mark.checklist("L13")
@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        ({"name": "a"}, {"Drafts", "Trash", "Archive", "work/Zebra", "work/apple", "Mango"}),
        ({"name": "BR"}, {"work/Zebra"}),
        ({"name": "nothing like it"}, set()),
        ({"role": "trash"}, {"Trash"}),
        ({"role": "none of these"}, set()),
        ({"role": None}, {"work", "work/Zebra", "work/apple", "work/apple/Core", "Mango"}),
        ({"hasAnyRole": True}, {"Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive"}),
        (
            {"hasAnyRole": False},
            {"work", "work/Zebra", "work/apple", "work/apple/Core", "Mango"},
        ),
        ({"isSubscribed": False}, {"Mango"}),
        ({"parentId": "work"}, {"work/Zebra", "work/apple"}),
        ({"parentId": "work/apple"}, {"work/apple/Core"}),
        ({"parentId": "Mango"}, set()),
        ({"parentId": "work", "name": "z"}, {"work/Zebra"}),
        ({"parentId": None, "role": None}, {"work", "Mango"}),
    ],
)
async def test_condition_matches(
    client: Client, paths: dict[str, str], condition: dict[str, Any], matching: set[str]
) -> None:
    """RFC 8621 §2.3: every FilterCondition; several in one are all needed."""
    if condition.get("parentId"):
        condition = condition | {"parentId": id_of(paths, condition["parentId"])}
    assert set(await ask(client, paths, filter=condition)) == matching
    inverted = {"operator": "NOT", "conditions": [condition]}
    assert set(await ask(client, paths, filter=inverted)) == set(paths.values()) - matching


@pytest.mark.checklist("H01")
async def test_operators_nest(client: Client, paths: dict[str, str]) -> None:
    """RFC 8620 §5.5: NOT is true when none of its conditions is."""
    either = {"operator": "OR", "conditions": [{"name": "zebra"}, {"name": "core"}]}
    neither = {"operator": "NOT", "conditions": [{"hasAnyRole": True}, either]}
    assert set(await ask(client, paths, filter=neither)) == {"work", "work/apple", "Mango"}
    never = {"operator": "OR", "conditions": []}
    assert await ask(client, paths, filter=never) == []


@pytest.mark.checklist("H04", "H05", "L12")
async def test_sorts_by_name_and_sort_order(client: Client, paths: dict[str, str]) -> None:
    """RFC 8621 §2.3: the default collation ignores case."""
    names = [path.rpartition("/")[2] for path in await ask(client, paths, sort=BY_NAME)]
    expected = sorted((path.rpartition("/")[2] for path in paths.values()), key=str.casefold)
    assert names == expected
    descending = [{"property": "name", "isAscending": False}]
    turned = [path.rpartition("/")[2] for path in await ask(client, paths, sort=descending)]
    assert turned == expected[::-1]

    order = {m["id"]: m["sortOrder"] for m in await client.mailboxes("sortOrder")}
    answer = await client.call("Mailbox/query", sort=[{"property": "sortOrder"}, *BY_NAME])
    assert answer["ids"] == sorted(
        paths, key=lambda id_: (order[id_], paths[id_].rpartition("/")[2].casefold())
    )


@pytest.mark.checklist("L12")
async def test_sort_as_tree_keeps_children_under_their_parents(
    client: Client, paths: dict[str, str]
) -> None:
    """RFC 8621 §2.3: siblings are compared, and everything comes after its parent."""
    assert await ask(client, paths, sort=BY_NAME, sortAsTree=True) == [
        *("Archive", "Drafts", "Inbox", "Junk", "Mango", "Sent", "Trash"),
        *("work", "work/apple", "work/apple/Core", "work/Zebra"),
    ]


@pytest.mark.checklist("L12")
async def test_sort_as_tree_holds_for_what_the_filter_leaves(
    client: Client, paths: dict[str, str]
) -> None:
    """RFC 8621 §2.3: the place of a Mailbox does not depend on whether its parent matches."""
    either = {"operator": "OR", "conditions": [{"name": "o"}, {"name": "zebra"}]}
    assert await ask(client, paths, filter=either, sort=BY_NAME, sortAsTree=True) == [
        *("Inbox", "Mango", "work", "work/apple/Core", "work/Zebra"),
    ]


@pytest.mark.checklist("L12")
async def test_filter_as_tree_leaves_out_what_hangs_on_nothing(
    client: Client, paths: dict[str, str]
) -> None:
    """RFC 8621 §2.3: all ancestors must match too."""
    either = {"operator": "OR", "conditions": [{"name": "o"}, {"name": "zebra"}]}
    assert await ask(client, paths, filter=either, sort=BY_NAME, filterAsTree=True) == [
        *("Inbox", "Mango", "work", "work/Zebra"),
    ]


@pytest.mark.checklist("H07", "H08", "H11", "H12")
async def test_window_is_cut_out_of_the_results(client: Client, paths: dict[str, str]) -> None:
    """RFC 8620 §5.5."""
    whole = await client.call("Mailbox/query", sort=BY_NAME)
    assert "total" not in whole
    middle = await client.call(
        "Mailbox/query", sort=BY_NAME, position=-4, limit=2, calculateTotal=True
    )
    assert (middle["position"], middle["ids"]) == (len(paths) - 4, whole["ids"][-4:-2])
    assert middle["total"] == len(paths)
    anchored = await client.call(
        "Mailbox/query", sort=BY_NAME, anchor=whole["ids"][5], anchorOffset=-1, limit=3
    )
    assert (anchored["position"], anchored["ids"]) == (4, whole["ids"][4:7])
    with pytest.raises(Refused) as refused:
        await client.call("Mailbox/query", anchor="Bmissing")
    assert refused.value.type == "anchorNotFound"


@pytest.mark.checklist("H13")
async def test_query_state_moves_when_results_do(
    client: Client, paths: dict[str, str], dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.5: a new Mailbox is among the results."""
    before = await client.call("Mailbox/query", sort=BY_NAME)
    again = await client.call("Mailbox/query", sort=BY_NAME)
    assert again == before
    dovecot.create(mailuser, "Brand new")
    after = await client.call("Mailbox/query", sort=BY_NAME)
    assert after["queryState"] != before["queryState"]
    assert len(after["ids"]) == len(before["ids"]) + 1


@pytest.mark.checklist("H02", "H06")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"colour": "red"}}, "unsupportedFilter"),
        ({"filter": {"isSubscribed": "yes"}}, "invalidArguments"),
        ({"filter": {"hasAnyRole": None}}, "invalidArguments"),
        ({"sort": [{"property": "totalEmails"}]}, "unsupportedSort"),
        ({"sort": [{"property": "name", "collation": "i;klingon"}]}, "unsupportedSort"),
        ({"sortAsTree": None}, "invalidArguments"),
        ({"collapseThreads": True}, "invalidArguments"),
    ],
)
async def test_what_a_mailbox_query_does_not_know_is_refused(
    client: Client, arguments: dict[str, Any], error: str
) -> None:
    """RFC 8620 §5.5."""
    with pytest.raises(Refused) as refused:
        await client.call("Mailbox/query", **arguments)
    assert refused.value.type == error
