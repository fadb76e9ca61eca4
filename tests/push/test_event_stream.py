"""WHATWG HTML §9.2: what is written is read as it was meant."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.push import event_stream
from tests.push.reader import Event, Parser, parse


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 2**53 - 1)))
def test_event(value: dict[str, object]) -> None:
    [event] = parse(event_stream.event("state", orjson.dumps(value), "a-B_1"))
    assert (event.name, event.id, event.json) == ("state", "a-B_1", value)


def test_event_without_id_keeps_the_last_one() -> None:
    """RFC 8620 §7.3: a ping must not set a new event id."""
    first = event_stream.event("state", b"{}", "1")
    events = list(parse(first + event_stream.event("ping", b"{}")))
    assert events == [Event("state", "{}", "1"), Event("ping", "{}", "1")]


def test_what_is_no_event_is_not_seen() -> None:
    parser = Parser()
    octets = event_stream.COMMENT + event_stream.retry(1.5) + event_stream.event_id("7")
    for line in octets.decode().split("\n"):
        assert parser.feed(line) is None
    assert (parser.comments, parser.retry, parser.last_event_id) == (1, 1500, "7")
    assert event_stream.event_id("") == b"\n"
