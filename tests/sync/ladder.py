"""RFC 8620 §5.2: changes on a server, and that /changes tells of each, neither more nor less."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from gateway.sync.account import Account
from tests.mail.client import Client
from tests.servers.mail_server import MailServer, User
from tests.sync import raw
from tests.sync.follower import COUNTS, TYPES, Follower, Told, differences, properties_of
from tests.sync.hand import Hand, hand
from tests.sync.letters import message_id

# Where mailboxes have ids of their own (RFC 8474, Dovecot's GUIDs).
NAMED = ("everything", "no-qresync", "no-condstore", "no-list-status", "no-list-extended")
CYRUS_NAMED = ("cyrus", "cyrus-no-qresync", "cyrus-no-condstore")


def look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server asked when look() begins, and not by each method of a client again."""
    monkeypatch.setattr("gateway.sync.trust.MAX_TRUST_SECONDS", 600.0)
    monkeypatch.setattr("gateway.sync.trust.TRUST_FACTOR", 1e9)


@dataclass(frozen=True, slots=True)
class Change:
    """Something another client does, and the letters that Email/changes must tell of then."""

    name: str
    make: Callable[[Hand], object]
    created: frozenset[int] = frozenset()
    updated: frozenset[int] = frozenset()
    destroyed: frozenset[int] = frozenset()


def change(
    name: str,
    make: Callable[[Hand], object],
    *,
    created: Iterable[int] = (),
    updated: Iterable[int] = (),
    destroyed: Iterable[int] = (),
) -> Change:
    """A Change of these letters, and of no others."""
    return Change(name, make, frozenset(created), frozenset(updated), frozenset(destroyed))


async def following(account: Account) -> Follower:
    """A client that has read everything."""
    follower = Follower(Client(account))
    await follower.load()
    return follower


async def tell(follower: Follower, server: MailServer, user: User, step: Change) -> None:
    """Make a change, and find that it is told of with exactly its letters."""
    ids = follower.ids()
    with hand(server, user) as writer:
        step.make(writer)
    told = await look(follower, server, user, step.name)
    ids |= follower.ids()
    letters = (step.created, step.updated, step.destroyed)
    for said, numbers in zip(told["Email"].ids, letters, strict=True):
        assert said == {ids[message_id(number)] for number in numbers}, step.name


async def look(follower: Follower, server: MailServer, user: User, name: str) -> dict[str, Told]:
    """Follow, and find that what was told is what is different now; `name` is what happened."""
    before, ids, states = follower.copy(), follower.ids(), dict(follower.states)
    follower.client.account.mark_changed()
    told = await follower.follow()
    assert follower.view() == raw.read(server, user), name
    for type_ in TYPES:
        expected = differences(before[type_], follower.records[type_])
        assert told[type_].ids == expected, (name, type_)
        assert (follower.states[type_] != states[type_]) == any(expected), (name, type_)
    _check_properties(told["Mailbox"], before["Mailbox"], follower.records["Mailbox"], name)
    now = follower.ids()
    assert all(ids[message] == now[message] for message in ids.keys() & now.keys()), name
    return told


def _check_properties(
    told: Told, before: dict[str, dict[str, object]], after: dict[str, dict[str, object]], name: str
) -> None:
    """RFC 8621 §2.2: updatedProperties are counts, if nothing else has changed, and else null."""
    changed = properties_of(before, after)
    if not changed:
        return
    if changed <= {*COUNTS}:
        assert told.only is not None, name
        assert changed <= told.only <= {*COUNTS}, name
    else:
        assert told.only is None, name


async def tell_all(
    follower: Follower, server: MailServer, user: User, story: Iterable[Change]
) -> None:
    """Make one change after the other; in the end nothing is left to tell."""
    for step in story:
        await tell(follower, server, user, step)
    states = dict(follower.states)
    told = await follower.follow()
    assert all(each.ids == (set(), set(), set()) for each in told.values())
    assert follower.states == states
