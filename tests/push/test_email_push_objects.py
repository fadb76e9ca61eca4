"""draft-ietf-jmap-emailpush-02 §3: EmailPush objects are no larger than a push may be."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.push.email_push import email_pushes
from gateway.webpush.encryption import MAX_OCTETS

NAMES = ("a", "b", "c")
values = st.integers(0, MAX_OCTETS + 100).map(lambda octets: "x" * octets) | st.text(max_size=50)
emails = st.fixed_dictionaries(dict.fromkeys(NAMES, values))


def made(records: list[dict[str, Any]], properties: tuple[str, ...] = NAMES) -> list[Any]:
    pushes = email_pushes("A1", "state", properties, records)
    assert all(len(push) <= MAX_OCTETS for push in pushes)
    return [json.loads(push) for push in pushes]


def alone(email: dict[str, Any]) -> int:
    """Octets of a push of nothing but this."""
    push = {"@type": "EmailPush", "accountId": "A1", "emails": [email], "state": "state"}
    return len(json.dumps(push, separators=(",", ":"), ensure_ascii=False).encode())


@given(st.lists(emails, max_size=8))
def test_each_email_has_the_first_properties_that_fit(records: list[dict[str, Any]]) -> None:
    told = [email for push in made(records) for email in push["emails"]]
    for record, email in zip(records, told, strict=True):
        expected: dict[str, Any] = {}
        for name in NAMES:
            if alone(expected | {name: record[name]}) <= MAX_OCTETS:
                expected[name] = record[name]
        assert list(email.items()) == list(expected.items())


@given(st.lists(emails, max_size=8))
def test_there_are_no_more_pushes_than_it_takes(records: list[dict[str, Any]]) -> None:
    """The first Email of a push has had no room in the one before."""
    pushes = made(records)
    for push, following in pairwise(pushes):
        together = {**push, "emails": [*push["emails"], following["emails"][0]]}
        octets = json.dumps(together, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(octets) > MAX_OCTETS


def test_properties_are_in_the_order_asked_for() -> None:
    (push,) = made([{"a": 1, "b": 2, "c": 3}], ("c", "a"))
    assert list(push["emails"][0]) == ["c", "a"]
    assert push == {
        "@type": "EmailPush",
        "accountId": "A1",
        "emails": [{"c": 3, "a": 1}],
        "state": "state",
    }
