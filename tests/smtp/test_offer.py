"""RFC 5321 §4.1.1.1: what a server offers, however it writes that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.offer import Offer, held, offer

_GREETING = "mail.example.org at your service"


def test_extensions_and_their_arguments() -> None:
    found = offer([_GREETING, "PIPELINING", "size 1000", "AUTH plain LOGIN", "", "DELIVERBY 240"])
    assert set(found.extensions) == {"PIPELINING", "SIZE", "AUTH", "DELIVERBY"}
    assert "SIZE" in found
    assert "MAIL.EXAMPLE.ORG" not in found
    assert found.size == 1000
    assert found.mechanisms == {"PLAIN", "LOGIN"}


@pytest.mark.parametrize(
    ("line", "size"),
    [("SIZE", None), ("SIZE 0", None), ("SIZE ten", None), ("SIZE 9", 9), ("SIZE ٣", None)],
)
def test_the_largest_message(line: str, size: int | None) -> None:
    assert offer([_GREETING, line]).size == size


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("FUTURERELEASE 86400 2030-01-02T03:04:05Z", 86400),
        ("FUTURERELEASE", 0),
        ("FUTURERELEASE -1", 0),
        ("DSN", 0),
    ],
)
def test_the_longest_hold(line: str, seconds: int) -> None:
    assert offer([_GREETING, line]).longest_hold == seconds


def test_mechanisms_as_old_servers_tell_them() -> None:
    assert offer([_GREETING, "AUTH PLAIN", "AUTH=LOGIN PLAIN"]).mechanisms == {"PLAIN", "LOGIN"}


@pytest.mark.checklist("B17")
def test_clients_see_what_they_can_ask_for() -> None:
    found = offer([_GREETING, "SIZE 9", "8BITMIME", "PIPELINING", "AUTH PLAIN", "STARTTLS", "DSN"])
    assert found.for_clients == {"SIZE": ["9"], "DSN": []}
    assert offer([]).for_clients == Offer().for_clients == {}


@given(st.lists(st.text(max_size=30)))
def test_any_lines_are_an_offer(lines: list[str]) -> None:
    found = offer(lines)
    assert found.size is None or found.size > 0
    assert found.longest_hold >= 0
    assert all(name.upper() == name for name in found.mechanisms)


@given(st.integers(0, 10**7), st.floats(0, 4e9))
def test_who_holds_messages_says_until_when(seconds: int, now: float) -> None:
    until = datetime.fromisoformat(held(seconds, now)[1])
    assert until == datetime.fromtimestamp(int(now) + seconds, UTC)
    assert held(seconds, now)[0] == str(seconds)
