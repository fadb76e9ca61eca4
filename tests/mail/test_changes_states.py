r"""RFC 8620 §5.2: which states are known, and what moves them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gateway.sync import journal
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.sync.follower import TYPES, Follower
from tests.sync.hand import Hand, hand
from tests.sync.letters import letter

DAY = 24 * 3600
every_type = pytest.mark.parametrize("name", TYPES)


@pytest.fixture
async def follower(connect: Connect, dovecot: Dovecot, mailuser: User) -> Follower:
    """Give a client that has read an account with some mail."""
    return await furnished(connect, dovecot, mailuser)


async def furnished(connect: Connect, server: Dovecot, user: User) -> Follower:
    server.create(user, "A")
    server.append_all(user, "INBOX", [letter(1), letter(2, 1), letter(3), letter(4)])
    found = Follower(await connect(server, user))
    await found.load()
    # What moves all states, so that they are the latest there can be.
    server.append(user, "INBOX", letter(5).octets)
    await found.follow()
    return found


async def error_of(client: Client, name: str, state: object) -> str:
    """The type of the error that a state is refused with."""
    with pytest.raises(Refused) as refused:
        await client.call(f"{name}/changes", sinceState=state)
    return refused.value.type


DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "of nobody": lambda _: "x",
    "dots": lambda _: "...",
    "numbers": lambda _: "1.2.3",
    "cut short": lambda state: state[:-1],
    "drawn out": lambda state: state + "0",
    "another epoch": lambda state: "x" + state,
    "no digest": lambda state: state.rpartition(".")[0],
    "another digest": lambda state: state.rpartition(".")[0] + ".f0f0",
    "later": lambda state: _with_sequence(state, lambda n: n + 1),
    "much later": lambda state: _with_sequence(state, lambda n: n + 10**12),
    "before all": lambda state: _with_sequence(state, lambda _: -1),
    "an offset into nothing": lambda state: state + ".1",
    "an offset without a number": lambda state: state + ".",
    "a huge offset": lambda state: state + "." + "9" * 400,
    "a line": lambda state: state + "\n",
    "a space": lambda state: " " + state,
    "other digits": lambda state: state.translate({48 + n: 0x660 + n for n in range(10)}),
    "long": lambda state: state * 1000,
    "null": lambda state: state + "\0",
}


def _with_sequence(state: str, make: Callable[[int], int]) -> str:
    epoch, sequence, *rest = state.split(".")
    return ".".join([epoch, str(make(int(sequence))), *rest])


@pytest.mark.checklist("E07")
@every_type
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=[*DAMAGE])
async def test_a_state_that_was_never_given_out_is_refused(
    damage: Callable[[str], str], name: str, follower: Follower
) -> None:
    state = damage(follower.states[name])
    assert await error_of(follower.client, name, state) == "cannotCalculateChanges"


@pytest.mark.checklist("E07")
@every_type
async def test_what_is_no_state_is_refused(name: str, follower: Follower) -> None:
    values: tuple[object, ...] = (None, 7, [], {}, True)
    for value in values:
        assert await error_of(follower.client, name, value) == "invalidArguments"


@pytest.mark.checklist("E07")
async def test_a_state_of_another_account_is_refused(
    connect: Connect, dovecot: Dovecot, follower: Follower
) -> None:
    """Also where both accounts have the same history."""
    stranger = await furnished(connect, dovecot, dovecot.add_user())
    for name in TYPES:
        state = stranger.states[name]
        assert await error_of(follower.client, name, state) == "cannotCalculateChanges"


@pytest.mark.checklist("E07")
async def test_a_state_from_before_the_store_was_lost_is_refused(
    connect: Connect, dovecot: Dovecot, mailuser: User, follower: Follower
) -> None:
    """Design §6: another lineage; what happened since can not be told."""
    again = Follower(await connect(dovecot, mailuser))
    await again.load()
    assert again.records == follower.records
    for name in TYPES:
        for client, state in (
            (again.client, follower.states[name]),
            (follower.client, again.states[name]),
        ):
            assert await error_of(client, name, state) == "cannotCalculateChanges"


@pytest.mark.checklist("E07", "E09")
async def test_a_state_can_be_used_for_thirty_days_after_it_was_replaced(
    follower: Follower, dovecot: Dovecot, mailuser: User
) -> None:
    old = dict(follower.states)
    for number in (6, 7):
        dovecot.append(mailuser, "A", letter(number).octets)
        await follower.follow()
    newest = dict(follower.states)
    log, now = follower.client.account.data.journal, int(time.time())
    log.truncate(now + 29 * DAY)
    for name in TYPES:
        answer = await follower.client.call(f"{name}/changes", sinceState=old[name])
        assert answer["newState"] == newest[name]
    log.truncate(now + 31 * DAY)
    for name in TYPES:
        assert await error_of(follower.client, name, old[name]) == "cannotCalculateChanges"
        answer = await follower.client.call(f"{name}/changes", sinceState=newest[name])
        assert (answer["newState"], answer["hasMoreChanges"]) == (newest[name], False)


@pytest.mark.checklist("E07")
async def test_what_is_forgotten_for_lack_of_room_is_refused(
    follower: Follower, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a client that was told so reads everything, and goes on from there."""
    monkeypatch.setattr(journal, "MAX_BYTES", 1)
    old = dict(follower.states)
    for number in (6, 7, 8):
        dovecot.append(mailuser, "A", letter(number).octets)
        await follower.client.call("Mailbox/get", ids=[])
    follower.client.account.data.journal.truncate(int(time.time()))
    for name in TYPES:
        assert await error_of(follower.client, name, old[name]) == "cannotCalculateChanges"
    await follower.load()
    told = await follower.follow()
    assert all(each.ids == (set(), set(), set()) for each in told.values())


# --- what moves which state (D08) ----------------------------------------------------------------

MOVES: dict[str, tuple[Callable[[Hand], object], set[str]]] = {
    "mail": (lambda w: w.append("A", 9), {"Email", "Thread", "Mailbox", "EmailDelivery"}),
    "deleted mail": (lambda w: w.append("A", 9, None, "\\Deleted"), set()),
    "a flag": (lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Flagged"), {"Email"}),
    "a keyword": (lambda w: w.store("INBOX", (1,), "+FLAGS", "$New"), {"Email"}),
    "reading": (lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Seen"), {"Email", "Mailbox"}),
    "the same flags": (lambda w: w.store("INBOX", (1,), "-FLAGS", "\\Seen"), set()),
    "a move": (lambda w: w.move("INBOX", (3,), "A"), {"Email", "Mailbox"}),
    "a copy": (lambda w: w.copy("INBOX", (3,), "A"), {"Email", "Mailbox"}),
    "an expunge": (lambda w: w.expunge("INBOX", (2,)), {"Email", "Thread", "Mailbox"}),
    "deletion": (
        lambda w: w.store("INBOX", (2,), "+FLAGS", "\\Deleted"),
        {"Email", "Thread", "Mailbox"},
    ),
    "a mailbox": (lambda w: w.create("B"), {"Mailbox"}),
    "a name": (lambda w: w.rename("A", "B"), {"Mailbox"}),
    "a subscription": (lambda w: w.unsubscribe("A"), {"Mailbox"}),
    "nothing": (lambda _: None, set()),
}


@pytest.mark.checklist("D08", "M04")
@pytest.mark.parametrize(("make", "expected"), MOVES.values(), ids=[*MOVES])
async def test_a_state_moves_only_with_what_it_is_of(
    make: Callable[[Hand], object],
    expected: set[str],
    follower: Follower,
    dovecot: Dovecot,
    mailuser: User,
) -> None:
    client = follower.client
    before = client.account.states()
    assert {name: before[name] for name in TYPES} == follower.states
    with hand(dovecot, mailuser) as writer:
        make(writer)
    told = await follower.follow()
    after = client.account.states()
    assert {name for name in after if after[name] != before[name]} == expected
    assert {name for name in TYPES if told[name].pages and any(told[name].ids)} == expected & {
        *TYPES
    }


@pytest.mark.checklist("E05", "E10")
@every_type
async def test_nothing_is_told_of_the_current_state(name: str, follower: Follower) -> None:
    state = follower.states[name]
    for most in (None, 1, 10**9):
        answer = await follower.client.call(f"{name}/changes", sinceState=state, maxChanges=most)
        assert answer["oldState"] == answer["newState"] == state
        assert answer["created"] == answer["updated"] == answer["destroyed"] == []
        assert answer["hasMoreChanges"] is False
        assert answer.get("updatedProperties") is None


# --- what happened and was undone (E08) ----------------------------------------------------------

UNDONE: dict[str, tuple[Callable[[Hand], object], Callable[[Hand], object]]] = {
    "came and went": (lambda w: w.append("A", 9, 1), lambda w: w.expunge("A", (9,))),
    "went and came back": (
        lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Deleted"),
        lambda w: w.store("INBOX", (1,), "-FLAGS", "\\Deleted"),
    ),
    "flagged and unflagged": (
        lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Flagged"),
        lambda w: w.store("INBOX", (1,), "-FLAGS", "\\Flagged"),
    ),
    "moved and moved back": (
        lambda w: w.move("INBOX", (1,), "A"),
        lambda w: w.move("A", (1,), "INBOX"),
    ),
    "made and deleted": (lambda w: w.create("B"), lambda w: w.delete("B")),
    "renamed and renamed back": (
        lambda w: w.rename("A", "B"),
        lambda w: w.rename("B", "A"),
    ),
}


@pytest.mark.checklist("E04", "E08")
@pytest.mark.parametrize(("make", "undo"), UNDONE.values(), ids=[*UNDONE])
async def test_what_is_undone_creates_and_destroys_nothing(
    make: Callable[[Hand], object],
    undo: Callable[[Hand], object],
    follower: Follower,
    dovecot: Dovecot,
    mailuser: User,
) -> None:
    """It was seen in between, so the states have moved; an id may be told of as updated."""
    before = follower.copy()
    with hand(dovecot, mailuser) as writer:
        make(writer)
        await follower.client.call("Mailbox/get", ids=[])
        undo(writer)
    told = await follower.follow()
    assert follower.records == before
    for name in TYPES:
        assert not told[name].created
        assert not told[name].destroyed
        assert told[name].updated <= before[name].keys()
