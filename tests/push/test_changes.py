"""RFC 8620 §7.1, §7.3: what changed since an event, told by the id of the event alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.push.changes import event_id, is_told_of, state_change

TYPES = ("Mailbox", "Thread", "Email", "EmailDelivery", "Identity", "EmailSubmission")

accounts = st.dictionaries(
    st.sampled_from(["a1", "a2", "a11"]),
    st.dictionaries(st.sampled_from(TYPES), st.sampled_from(["1", "2", "x.1.y", ""])),
)
wanted = st.none() | st.frozensets(st.sampled_from([*TYPES, "CalendarEvent"]))


@pytest.mark.checklist("K03")
def test_state_change_has_what_moved_and_nothing_else() -> None:
    before = {"a1": {"Mailbox": "m1", "Email": "e1", "EmailDelivery": "d1"}}
    after = {"a1": {"Mailbox": "m1", "Email": "e2", "EmailDelivery": "d2"}}
    assert state_change(after, None, event_id(before, None)) == {
        "@type": "StateChange",
        "changed": {"a1": {"Email": "e2", "EmailDelivery": "d2"}},
    }


def test_same_state_of_another_type_or_account_is_another() -> None:
    told = event_id({"a1": {"Mailbox": "1"}}, None)
    now = {"a1": {"Mailbox": "1", "Email": "1"}, "a2": {"Mailbox": "1"}}
    change = state_change(now, None, told)
    assert change is not None
    assert change["changed"] == {"a1": {"Email": "1"}, "a2": {"Mailbox": "1"}}


@pytest.mark.checklist("K16")
def test_types_that_were_not_wanted_are_new_to_who_wants_them_now() -> None:
    states = {"a1": {"Mailbox": "1", "Email": "1"}}
    told = event_id(states, {"Email"})
    assert state_change(states, {"Email"}, told) is None
    change = state_change(states, None, told)
    assert change is not None
    assert change["changed"] == {"a1": {"Mailbox": "1"}}


@pytest.mark.checklist("K03", "K16", "K19")
@given(accounts, accounts, wanted)
def test_id_tells_exactly_what_changed_since(
    before: dict[str, dict[str, str]],
    after: dict[str, dict[str, str]],
    types: frozenset[str] | None,
) -> None:
    expected = {
        account: moved
        for account, states in after.items()
        if (
            moved := {
                type: state
                for type, state in states.items()
                if (types is None or type in types) and before.get(account, {}).get(type) != state
            }
        )
    }
    change = state_change(after, types, event_id(before, types))
    assert change == ({"@type": "StateChange", "changed": expected} if expected else None)


@given(accounts, wanted)
def test_id_is_one_short_word(
    states: dict[str, dict[str, str]], types: frozenset[str] | None
) -> None:
    """WHATWG HTML §9.2.6: no line break, no NUL; and nothing that a URL would have to escape."""
    id = event_id(states, types)
    assert re.fullmatch("[A-Za-z0-9_-]*", id)
    told = [sum(types is None or type in types for type in account) for account in states.values()]
    assert len(id) == 8 * sum(number + bool(number) for number in told)


@given(accounts, wanted)
def test_id_tells_which_accounts_the_client_was_told_of(
    states: dict[str, dict[str, str]], types: frozenset[str] | None
) -> None:
    """RFC 8620 §7.1, §7.3: those of which it wants to know of a type, and no others."""
    id = event_id(states, types)
    assert {account for account in states if is_told_of(account, id)} == {
        account
        for account, kinds in states.items()
        if any(types is None or type in types for type in kinds)
    }
    assert not is_told_of("another", id)


@pytest.mark.checklist("K19")
@given(st.text() | st.text(alphabet="AQgw_-", max_size=10_000))
def test_id_that_is_none_of_ours_makes_everything_new(id: str) -> None:
    states = {"a1": {"Mailbox": "1", "Email": "1"}}
    assert state_change(states, None, id) == {"@type": "StateChange", "changed": states}


def test_id_is_looked_at_so_far_only() -> None:
    states = {"a1": {"Mailbox": "1"}}
    told = event_id(states, None)
    assert state_change(states, None, "A" * 4088 + told) is None
    assert state_change(states, None, "A" * 4096 + told) is not None
