"""RFC 5321 §4.2: replies, as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.reply import BadReply, Reply, ReplyReader


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (b"250 2.1.0 Ok\r\n", "250 2.1.0 Ok"),
        (b"250\r\n", "250"),
        (b"250 \r\n", "250"),
        (b"250 Ok\n", "250 Ok"),
        (
            b"550-5.7.1 Our system has detected that this message is\r\n550 5.7.1 likely spam.\r\n",
            "550 5.7.1 Our system has detected that this message is likely spam.",
        ),
        (b"250-one\r\n250-two\r\n250 three\r\n", "250 one two three"),
        (b"550 gr\xc3\xbc\xc3\x9fe \xff\x07\r\n", "550 gr\u00fc\u00dfe \ufffd"),
    ],
)
def test_a_reply_is_shown_in_one_line(octets: bytes, shown: str) -> None:
    (reply,) = ReplyReader().feed(octets)
    assert str(reply) == shown


def test_the_enhanced_code_is_known() -> None:
    assert Reply(550, ("5.7.1 no",)).enhanced == "5.7.1"
    assert Reply(550, ("5.7.1",)).enhanced == "5.7.1"
    assert Reply(550, ("no 5.7.1",)).enhanced is None
    assert Reply(550, ("5.7.1234 no",)).enhanced is None


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"25 x\r\n",
        b"199 x\r\n",
        b"650 x\r\n",
        b"250x\r\n",
        b"\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * 5000,
        b"250 " + b"x" * 5000 + b"\r\n",
        b"250-x\r\n" * 300,
    ],
)
def test_what_is_no_reply_is_an_error(octets: bytes) -> None:
    with pytest.raises(BadReply):
        list(ReplyReader().feed(octets))


@given(st.lists(st.integers(1, 30), max_size=20))
def test_how_they_come_makes_no_difference(cuts: list[int]) -> None:
    octets = b"220 hi\r\n250-a\r\n250-SIZE 5\r\n250 8BITMIME\r\n550 5.1.1 no\r\n"
    replies: list[Reply] = []
    reader, at = ReplyReader(), 0
    for cut in [*cuts, len(octets)]:
        replies += reader.feed(octets[at : at + cut])
        at += cut
    assert [each.code for each in replies] == [220, 250, 550]
    assert replies[1].lines == ("a", "SIZE 5", "8BITMIME")
