"""RFC 8620 §5.6, RFC 8621 §2.4: Mailbox/queryChanges."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.commands.status import Status
from gateway.sync.events import MailboxEvent, no_emails
from gateway.sync.journal import Entry, chained
from gateway.sync.mailboxes import Mailbox
from tests.mail.client import Client, Refused
from tests.mail.followed import Followed, applied, follow
from tests.mail.history import Held, History
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User, quoted

BY_NAME = [{"property": "name"}]
NAMES = ("a", "B", "c", "ä", "D")


# --- over random changes of the tree --------------------------------------------------------------


class Tree:
    """Mailboxes that are made, changed and deleted at random; one call is one commit."""

    def __init__(self, random: Random) -> None:
        self._random = random
        history = History(random)
        self.data = history.data
        self.data.mailboxes = {}
        self.client = Client(Held(history, random).account)
        for _ in range(4):
            self.step()

    def step(self) -> None:
        before = self.data.mailboxes
        self.data.mailboxes = dict(before)
        for _ in range(self._random.choice((1, 1, 2))):
            self._random.choice((self._make, self._rename, self._move, self._mark, self._delete))()
        self._commit(before)

    def _commit(self, before: dict[str, Mailbox]) -> None:
        events = []
        for id_ in {**before, **self.data.mailboxes}:
            old, new = before.get(id_), self.data.mailboxes.get(id_)
            # Of some, only the counts change.
            if old != new or self._random.random() < 0.2:
                events.append(MailboxEvent(id_, old, new is not None, is_listed=old != new))
        if events:
            head = self.data.journal.head
            digest = chained(head.digest, repr(events).encode())
            entry = Entry(head.sequence + 1, digest, 0, no_emails(), tuple(events), delivered=False)
            self.data.journal.append(entry)

    def _make(self) -> None:
        id_ = f"M{self._random.randrange(8)}"
        role = self._random.choice((None, None, "archive"))
        self._put(Mailbox(id_, b"x", (self._name(),), self._parent(), role, True, None, Status()))

    def _rename(self) -> None:
        if some := self._some():
            self._put(replace(some, path=(self._name(),)))

    def _move(self) -> None:
        if some := self._some():
            self._put(replace(some, parent_id=self._parent()))

    def _mark(self) -> None:
        if some := self._some():
            role = self._random.choice((None, "archive"))
            self._put(replace(some, role=role, is_subscribed=not some.is_subscribed))

    def _delete(self) -> None:
        if some := self._some():
            del self.data.mailboxes[some.id]
            for child in list(self.data.mailboxes.values()):
                if child.parent_id == some.id:
                    self._put(replace(child, parent_id=None))

    def _put(self, mailbox: Mailbox) -> None:
        known = self.data.mailboxes | {mailbox.id: mailbox}
        above, seen = mailbox.parent_id, {mailbox.id}
        while above is not None:  # nothing is its own ancestor
            if above in seen or above not in known:
                return
            seen.add(above)
            above = known[above].parent_id
        self.data.mailboxes[mailbox.id] = mailbox

    def _some(self) -> Mailbox | None:
        return self._random.choice([*self.data.mailboxes.values(), None])

    def _name(self) -> str:
        return self._random.choice(NAMES)

    def _parent(self) -> str | None:
        return self._random.choice([*self.data.mailboxes, None])

    def some(self, views: list[Followed]) -> list[Followed]:
        """Those that look after this step; the others are away for longer."""
        return [view for view in views if self._random.random() < 0.7]

    def query(self) -> dict[str, Any]:
        """Arguments of a Mailbox/query."""
        random = self._random
        conditions: dict[str, Any] = {
            "name": random.choice(NAMES),
            "parentId": self._parent(),
            "role": random.choice((None, "archive")),
            "hasAnyRole": random.random() < 0.5,
            "isSubscribed": random.random() < 0.5,
        }
        chosen = random.sample(sorted(conditions), random.choice((0, 0, 1, 2)))
        sort = [
            {"property": name, "isAscending": random.random() < 0.5}
            for name in random.sample(("name", "sortOrder"), random.choice((0, 1, 2)))
        ]
        return {
            "filter": {name: conditions[name] for name in chosen},
            "sort": sort,
            "sortAsTree": random.random() < 0.5,
            "filterAsTree": random.random() < 0.5,
        }


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
@pytest.mark.checklist("I01", "I02", "I03", "I06", "I07", "L14")
async def test_a_client_that_applies_changes_has_what_a_fresh_query_gives(seed: int) -> None:
    """RFC 8620 §5.6: for any filter, sort and shape of the tree; by the letter of what is removed.

    All that filter and sort look at may change, so each Mailbox that is another one is named.
    """
    tree = Tree(Random(seed))
    views = [await follow(tree.client, "Mailbox", **tree.query()) for _ in range(6)]
    before = dict.fromkeys(views, tree.data.mailboxes)
    for _ in range(6):
        tree.step()
        for view in tree.some(views):
            then, now, ids, state = before[view], tree.data.mailboxes, set(view.ids), view.state
            before[view] = now
            answer = await view.follow()
            removed, added = answer["removed"], {item["id"] for item in answer["added"]}
            changed = {id_ for id_ in view.ids if id_ in then and then[id_] != now[id_]}
            assert set(removed) >= changed | ids - set(view.ids)
            assert added >= changed | set(view.ids) - ids
            if view.state == state:
                assert not removed


# --- on a server ----------------------------------------------------------------------------------


@pytest.fixture
async def tree(client: Client, dovecot: Dovecot, mailuser: User) -> Followed:
    """Give all Mailboxes in order of a tree by name, among them work/a, work/b and Zoo."""
    dovecot.create(mailuser, "work", "work/a", "work/b", "Zoo")
    return await follow(client, "Mailbox", sort=BY_NAME, sortAsTree=True)


async def refusal(followed: Followed, **arguments: Any) -> str:
    with pytest.raises(Refused) as refused:
        await followed.changes(**arguments)
    return refused.value.type


@pytest.mark.checklist("L14", "I02", "I03", "I07")
async def test_mailboxes_come_go_and_move(
    client: Client, dovecot: Dovecot, mailuser: User, tree: Followed
) -> None:
    """RFC 8621 §2.4: with sortAsTree, what is below a Mailbox moves along with it."""
    nothing = await tree.follow()
    assert (nothing["removed"], nothing["added"]) == ([], [])
    assert nothing["newQueryState"] == nothing["oldQueryState"]
    paths = await client.paths()
    dovecot.create(mailuser, "work/aa")
    answer = await tree.follow()
    assert answer["removed"] == []
    assert tree.ids[answer["added"][0]["index"] - 1] == paths["work/a"]
    with dovecot.imap(mailuser) as imap:
        imap.rename("work", "Alpha")
    answer = await tree.follow()
    assert {paths["work"], paths["work/a"], paths["work/b"]} <= set(answer["removed"])
    with dovecot.imap(mailuser) as imap:
        imap.delete(quoted("Alpha/b"))
    answer = await tree.follow()
    assert (answer["removed"], answer["added"]) == ([paths["work/b"]], [])


@pytest.mark.checklist("L14", "I07")
async def test_counts_are_no_change_of_a_query(
    client: Client, dovecot: Dovecot, mailuser: User, tree: Followed
) -> None:
    """RFC 8620 §5.6: no filter and no sort looks at them; new mail leaves the state as it is."""
    before = tree.state
    dovecot.append(mailuser, "INBOX", mail())
    answer = await tree.follow()
    assert (answer["removed"], answer["added"], tree.state) == ([], [], before)


@pytest.mark.checklist("L14", "I01", "I04")
async def test_a_filter_on_what_changes(
    client: Client, dovecot: Dovecot, mailuser: User, tree: Followed
) -> None:
    """RFC 8621 §2.4: as all of it may change, upToId is ignored."""
    view = await follow(client, "Mailbox", filter={"isSubscribed": True}, sort=BY_NAME)
    paths = await client.paths()
    with dovecot.imap(mailuser) as imap:
        imap.unsubscribe("Zoo")
        imap.unsubscribe(quoted("work/a"))
    answer = await view.changes(upToId=paths["work/a"])
    assert set(answer["removed"]) == {paths["Zoo"], paths["work/a"]}
    await view.follow()
    with dovecot.imap(mailuser) as imap:
        imap.subscribe("Zoo")
    answer = await view.follow()
    assert answer["added"] == [{"id": paths["Zoo"], "index": len(view.ids) - 1}]


@pytest.mark.checklist("L14", "I05", "I06", "I08")
async def test_states_and_limits(dovecot: Dovecot, mailuser: User, tree: Followed) -> None:
    """RFC 8620 §5.6: a state is of one query; there are at most maxChanges; a total if asked."""
    dovecot.create(mailuser, "new", "newer")
    for other in ({"sortAsTree": False}, {"filterAsTree": True}, {"filter": {"name": "o"}}):
        assert await refusal(tree, **other) == "cannotCalculateChanges"
    for state in ("", "x", tree.state + "0", f"{tree.state.partition('.')[0]}.other.0.0"):
        assert await refusal(tree, sinceQueryState=state) == "cannotCalculateChanges"
    assert await refusal(tree, maxChanges=1) == "tooManyChanges"
    assert "total" not in await tree.changes(maxChanges=2)
    answer = await tree.changes(calculateTotal=True)
    assert answer["total"] == len(applied(tree.ids, answer))
