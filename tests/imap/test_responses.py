"""RFC 9051 §7: the three kinds of responses, and the lax forms servers are known to send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.framer import Frame
from gateway.imap.wire.responses import (
    Code,
    Continuation,
    Tagged,
    Text,
    Untagged,
    number,
    parse,
    parse_text,
)


def _untagged(octets: bytes) -> Untagged:
    response = parse(Frame(octets))
    assert isinstance(response, Untagged)
    return response


def _tagged(octets: bytes) -> Tagged:
    response = parse(Frame(octets))
    assert isinstance(response, Tagged)
    return response


def test_untagged_data() -> None:
    response = _untagged(b'* list (\\HasNoChildren) "/" INBOX')
    assert (response.name, response.number) == ("LIST", None)
    assert response.values == [[b"\\HasNoChildren"], b"/", b"INBOX"]
    response = _untagged(b"* 23 EXISTS")
    assert (response.name, response.number, response.values) == ("EXISTS", 23, [])


def test_untagged_status() -> None:
    response = _untagged(b"* BYE [UNAVAILABLE] going down")
    assert (response.name, response.text) == ("BYE", Text(Code("UNAVAILABLE"), "going down"))


def test_tagged_status() -> None:
    tagged = _tagged(b"g7 NO [TRYCREATE] No such mailbox")
    assert (tagged.tag, tagged.status, tagged.code) == (b"g7", "NO", "TRYCREATE")
    assert tagged.text.text == "No such mailbox"


def test_continuation() -> None:
    assert parse(Frame(b"+ go on")) == Continuation(b"go on")
    assert parse(Frame(b"+")) == Continuation(b"")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"[HIGHESTMODSEQ 5]", Text(Code("HIGHESTMODSEQ", (b"5",)), "")),  # Gmail: no text
        (
            b"[PERMANENTFLAGS (\\Seen a]b \\*)] Flags",
            Text(Code("PERMANENTFLAGS", ([b"\\Seen", b"a]b", b"\\*"],)), "Flags"),
        ),
        (b'[X "a]b" c] t', Text(Code("X", (b"a]b", b"c")), "t")),
        (b'[ALERT "open] text', Text(Code("ALERT"), "text")),
        (b"[ ] text", Text(None, "[ ] text")),
        (b"[open text", Text(None, "[open text")),
        (b"", Text(None, "")),
        (b"\xff text", Text(None, "� text")),
    ],
)
def test_response_codes(octets: bytes, text: Text) -> None:
    assert parse_text(octets) == text


def test_a_code_without_its_ok_is_read() -> None:
    """Exchange sends COPYUID so."""
    response = _untagged(b"* [COPYUID 1 2 3] done")
    assert response.name == "OK"
    assert response.text.code == Code("COPYUID", (b"1", b"2", b"3"))


@pytest.mark.parametrize(
    "octets",
    [b"Server Failure.", b"", b"*", b"*  ", b"g1", b"g1 MAYBE x", b"\0", b"HTTP/1.1 400 x"],
)
def test_lines_that_are_no_response_are_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(Frame(octets))


@given(st.binary(max_size=40))
def test_no_line_raises_anything_but_protocol_error(octets: bytes) -> None:
    for line in (b"* " + octets, b"* OK " + octets, b"g1 NO [" + octets, octets):
        try:
            response = parse(Frame(line))
        except ProtocolError:
            continue
        assert isinstance(response, Untagged | Tagged | Continuation)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5", 5),
        (b"0", 0),
        (b"-1", None),
        (b"9.3736e+06", 9_373_600),
        (b"1e99", None),
        (b"%d" % (2**63 - 1), 2**63 - 1),
        (b"%d" % 2**63, None),
        (b"9" * 5000, None),
        (b"nan", None),
        (None, None),
    ],
)
def test_numbers(value: bytes | None, expected: int | None) -> None:
    assert number(value) == expected
