"""RFC 5804 §1.6, §4: whatever is in an argument, a command is one command with that argument.

The commands here are called OK, as lines are called that our reader of lines takes.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.managesieve.wire import encode
from gateway.managesieve.wire.framer import Framer
from tests.imap.streams import OCTETS


@given(st.lists(OCTETS | st.binary(min_size=1000, max_size=1100), max_size=3))
def test_a_command_is_read_as_it_was_meant(strings: list[bytes]) -> None:
    sent = encode.command("OK", *map(encode.string, strings))
    assert Framer().feed(sent) == [("OK", *strings)]


@given(st.text(max_size=600))
def test_text_goes_out_as_utf_8(value: str) -> None:
    try:
        expected = value.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="surrogate"):
            encode.string(value)
        return
    assert Framer().feed(encode.command("OK", encode.string(value))) == [("OK", expected)]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'a"\\b', b'"a\\"\\\\b"'),
        ("ä".encode(), "{2+}\r\nä".encode()),
        (b"\xe4", b"{1+}\r\n\xe4"),
        (b"\0", b"{1+}\r\n\0"),
        (b"a\nb", b"{3+}\r\na\nb"),
        (b"a\rb", b"{3+}\r\na\rb"),
        (b"x" * 1024, b'"' + b"x" * 1024 + b'"'),
        (b"x" * 1025, b"{1025+}\r\n" + b"x" * 1025),
        (b'"' * 600, b"{600+}\r\n" + b'"' * 600),
    ],
)
def test_strings_are_quoted_where_they_can_be(value: bytes, sent: bytes) -> None:
    assert encode.string(value) == sent


@pytest.mark.parametrize(
    "name",
    [
        *("", "\0", "a\r\nLOGOUT", "\x1f", "\x7f", "\x80", "\x9f", "a\u2028", "\u2029", "\ud800"),
    ],
)
def test_no_name_of_a_script(name: str) -> None:
    assert not encode.is_script_name(name)
    with pytest.raises(ValueError, match="name"):
        encode.script_name(name)


@pytest.mark.parametrize(
    "name", ["a", 'with "quotes" \\ ', "日本語", "ACTIVE", "é", "e\u0301", "x" * 999]
)
def test_a_name_of_a_script(name: str) -> None:
    assert Framer().feed(encode.command("OK", encode.script_name(name))) == [("OK", name.encode())]


@pytest.mark.parametrize("name", ["", "put", "PUT X", "PUT\r\n", "É"])
def test_no_command(name: str) -> None:
    with pytest.raises(ValueError, match="command"):
        encode.command(name)


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_no_number(value: int) -> None:
    with pytest.raises(ValueError, match="number"):
        encode.number(value)


def test_numbers() -> None:
    assert [encode.number(value) for value in (0, (1 << 32) - 1)] == [b"0", b"4294967295"]


@given(st.binary(max_size=1200))
def test_sasl_messages_are_base64(message: bytes) -> None:
    [(sent,)] = Framer().feed(encode.sasl_response(encode.sasl(message)))
    assert isinstance(sent, bytes)
    assert base64.b64decode(sent, validate=True) == message
