"""Design §6: an account is the same one when rows that nobody needs were taken out of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync import changes, compaction, ids, journal
from gateway.sync.changes import Changes
from gateway.sync.data import AccountData
from gateway.sync.journal import KEPT_SECONDS, Journal, Position, UnknownState
from gateway.sync.orders import Orders
from gateway.sync.strings import CHUNK_ROWS, StringColumn
from gateway.sync.view import View
from tests.mail.client import Client, Refused
from tests.mail.history import Asker, Held
from tests.mail.history import History as Mail
from tests.servers.mail_server import MailServer
from tests.sync import raw
from tests.sync.conftest import Gateways
from tests.sync.hand import hand
from tests.sync.histories import History
from tests.sync.letters import letter
from tests.sync.views import email_ids
from tests.sync.views import view as show
from tests.sync.worlds import Box, World, account, follow, shown

seeds = st.integers(0, 2**32)
BY_SERVER = ("text", "from")


def forget(log: Journal, count: int) -> None:
    """Let go of the first entries, as if they were old."""
    log.entries[:] = [replace(entry, time=at) for at, entry in enumerate(log.entries)]
    log.truncate(KEPT_SECONDS + count + 1)


def compact(data: AccountData) -> None:
    compaction.compact(data, compaction.needed(data))


# --- what is told --------------------------------------------------------------------------------


def told(data: AccountData) -> dict[str, Any]:
    """All that an account says of its mail, by ids; also what is hidden in mailboxes."""
    return {
        "emails": emails(data, View.now(data)),
        "counts": data.shown_counts,
        "mailboxes": {
            id_: (
                columns.uids.tolist(),
                [data.emails.id(row) for row in columns.rows.tolist()],
                columns.shown().tolist(),
            )
            for id_ in data.numbers
            if (columns := data.columns(id_)) is not None
        },
    }


def emails(data: AccountData, view: View) -> dict[str, Any]:
    """The Emails at some moment by id."""
    table, keywords = data.emails, data.index.keywords
    numbers = {*data.numbers.values(), *data.past.values()}
    places = {number: view.in_mailbox(number) for number in numbers}
    return {
        table.id(row): (
            {number for number, mask in places.items() if mask[row]},
            sorted(keywords.keywords(keywords.unpack(view.bits[row]))),
            ids.thread_id(int(table.thread_keys[table.thread[row]])),
            int(table.received[row]),
            int(table.octets[row]),
            data.headers.get(row),
        )
        for row in np.flatnonzero(view.visible()).tolist()
    }


def mailboxes(data: AccountData, state: str, limit: int) -> Changes:
    return changes.mailboxes(data, state, limit)[0]


KINDS: dict[str, Callable[[AccountData, str, int], Changes]] = {
    "Email": changes.emails,
    "Thread": changes.threads,
    "Mailbox": mailboxes,
}


def since(data: AccountData, kind: str, state: str, limit: int) -> dict[str, list[str]] | None:
    """What happened to each object since a state, over all pages; None if that is not known."""
    found: dict[str, list[str]] = {}
    more = True
    while more:
        try:
            page = KINDS[kind](data, state, limit)
        except UnknownState:
            return None
        for what in ("created", "updated", "destroyed"):
            for id_ in getattr(page, what):
                found.setdefault(id_, []).append(what)
        state, more = page.new_state, page.has_more
    return found


def states(data: AccountData, kind: str, limit: int) -> list[str]:
    """All states of a kind that a client may have, also those inside an entry."""
    log = data.journal
    found = [
        log.state_at(Position(sequence))
        for sequence in range(log.base.sequence, log.head.sequence + 1)
    ]
    state, more = found[0], True
    while more:
        page = KINDS[kind](data, state, limit)
        state, more = page.new_state, page.has_more
        found.append(state)
    return found


# --- the same as without -------------------------------------------------------------------------


@pytest.mark.checklist("E02", "E04", "M04")
@settings(deadline=None, max_examples=50)
@given(seed=seeds, forgotten=st.integers(0, 14), limit=st.sampled_from([1, 2, 100]))
def test_everything_is_told_as_without_it(seed: int, forgotten: int, limit: int) -> None:
    """RFC 8620 §5.2: also what happened since any state from before it, and what happens after."""
    history = History(seed)
    history.run(14)
    forget(history.data.journal, forgotten)
    twin = copy.deepcopy(history)
    known = {kind: states(history.data, kind, limit) for kind in KINDS}
    for _ in range(3):
        compact(twin.data)
        assert told(twin.data) == told(history.data)
        for kind, before in known.items():
            for state in before:
                without = since(history.data, kind, state, 100)
                assert without is not None
                assert since(twin.data, kind, state, 100) == without
                # What comes back has another row, and so another place in a page.
                paged = since(twin.data, kind, state, limit) or {}
                for id_, events in without.items():
                    assert (paged[id_][-1] == "destroyed") == (events == ["destroyed"])
        for state in known["Email"]:
            assert emails(twin.data, at(twin.data, state)) == emails(
                history.data, at(history.data, state)
            )
        history.run(1)
        twin.run(1)


def at(data: AccountData, state: str) -> View:
    return View.past(data, data.journal.emails_since(data.journal.position("Email", state)))


@pytest.mark.checklist("I03", "I04", "P14")
@settings(deadline=None, max_examples=60)
@given(seed=seeds, forgotten=st.integers(0, 6))
async def test_changes_of_queries_are_as_without_it(seed: int, forgotten: int) -> None:
    """RFC 8620 §5.6: for any filter and sort that the index can answer."""
    random = Random(seed)
    mail = Mail(random)
    # The server that is played here finds texts by row.
    made = [Asker(random).query() for _ in range(8)]
    queries = [q for q in made if not any(name in str(q.get("filter")) for name in BY_SERVER)]
    for _ in range(6):
        mail.step()
    client = Client(Held(mail, random).account)
    states = [(await client.call("Email/query", **query))["queryState"] for query in queries]
    for _ in range(3):
        mail.step()
    forget(mail.data.journal, forgotten)
    twin = copy.deepcopy(mail)
    twin.data.orders = Orders()  # those that there are look at the other one's header fields
    compact(twin.data)
    other = Client(Held(twin, random).account)
    for query, state in zip(queries, states, strict=True):
        arguments = query | {"sinceQueryState": state, "calculateTotal": True}
        assert await ask(other, arguments) == await ask(client, arguments)


async def ask(client: Client, arguments: dict[str, Any]) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = await client.call("Email/queryChanges", **arguments)
    except Refused as refused:
        if refused.type != "cannotCalculateChanges":
            raise
        return None
    return answer


@pytest.mark.checklist("A09", "D08")
async def test_a_gateway_that_is_started_again_goes_on_with_it(
    server: MailServer, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, store = server.add_user(), gateways.store()
    server.append_all(user, "INBOX", [letter(n, None, f"label{n % 7}") for n in range(1, 40)])
    account = await gateways.login(server, user, store)
    await show(account)
    with hand(server, user) as writer:
        writer.expunge("INBOX", tuple(range(1, 30)))
        await show(account)
        monkeypatch.setattr(journal, "KEPT_SECONDS", -1)
        monkeypatch.setattr(compaction, "SPARE_ROWS", 0)
        writer.append("INBOX", 50)
    before, known, states = await show(account), await email_ids(account), account.states()
    assert account.data.emails.size == 40
    await gateways.close()
    account = await gateways.login(server, user, store)
    assert (await show(account), await email_ids(account)) == (before, known)
    assert account.states() == states
    assert account.data.emails.size == 11
    with hand(server, user) as writer:
        writer.append("INBOX", 51).store("INBOX", (35,), "+FLAGS", "\\Seen")
    assert await show(account) == raw.read(server, user)


# --- what goes, and what stays -------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return {"B1": Box("Inbox", "inbox"), "B2": Box("Trash", "trash")}


def test_what_the_journal_speaks_of_stays(world: World) -> None:
    data = account()
    for identity in range(4):
        world["B1"].append(identity)
    follow(data, world)
    world["B1"].messages.clear()
    follow(data, world)
    assert compaction.needed(data).tolist() == [0, 1, 2, 3]
    world["B1"].append(9)
    follow(data, world)
    forget(data.journal, 2)
    assert compaction.needed(data).tolist() == [4]


def test_messages_that_are_marked_as_deleted_stay(world: World) -> None:
    r"""RFC 8621 §4.1.1: such an Email comes back when \Deleted is taken from it."""
    data = account()
    world["B1"].append(0)
    uid = world["B1"].append(1, "\\Deleted")
    follow(data, world)
    world["B1"].append(2)
    follow(data, world)
    forget(data.journal, 1)
    assert compaction.needed(data).tolist() == [0, 1, 2]
    compact(data)
    world["B1"].messages[uid] = (1, frozenset())
    follow(data, world)
    assert told(data)["emails"].keys() == shown(world).keys()


def test_it_is_done_when_more_can_go_than_stays(world: World) -> None:
    data = account()
    for identity in range(10):
        world["B1"].append(identity)
    follow(data, world)
    every = compaction.needed(data)
    assert not compaction.is_worth_it(data, every[:0]), "it is only a few"
    many = account()
    for identity in range(10, 2 * compaction.SPARE_ROWS):
        world["B1"].append(identity)
    follow(many, world)
    half = compaction.SPARE_ROWS // 2
    assert not compaction.is_worth_it(many, compaction.needed(many)[:half])
    assert compaction.is_worth_it(many, compaction.needed(many)[: half - 1])


def test_rows_have_another_numbering_each_time(world: World) -> None:
    data = account()
    world["B1"].append(1)
    follow(data, world)
    known = {data.numbering}
    for _ in range(3):
        compact(data)
        known.add(data.numbering)
    assert len(known) == 4


@settings(deadline=None)
@given(size=st.integers(1, 4 * CHUNK_ROWS), share=st.floats(0, 1), seed=seeds)
def test_strings_go_along_with_their_rows(size: int, share: float, seed: int) -> None:
    """RFC 8621 §4.1.2: those that are known; also where they fill several chunks."""
    random = Random(seed)
    values = {row: b"%d" % row for row in range(size) if random.random() < share}
    column = StringColumn()
    column.put(values.keys(), values.values())
    rows = np.array([row for row in range(size) if random.random() < 0.5], np.int32)
    column.renumber(rows)
    assert [column.get(at) for at in range(len(rows))] == [values.get(r) for r in rows.tolist()]
    assert column.get(len(rows)) is None
    assert column.unpacked == []
