"""RFC 5321 §4.5.2: what is sent of a message, so that the server has the same."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.submit import Stuffing

_PIECES = st.lists(
    st.one_of(
        st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"..", b"\r\n.\r\n", b""]), st.binary()
    ),
    max_size=12,
)


def _sent(pieces: list[bytes]) -> bytes:
    stuffing = Stuffing()
    return b"".join(map(stuffing.feed, pieces)) + stuffing.finish()


def _received(sent: bytes) -> bytes:
    """As a server reads it: until a line of a dot alone."""
    lines = (sent + b".\r\n").split(b"\r\n")
    kept = lines[: lines.index(b".")]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in kept)


@given(_PIECES)
def test_the_server_has_the_same_lines(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    if lines and not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    assert _received(_sent(pieces)) == lines


@given(_PIECES)
def test_nothing_in_a_message_ends_it(pieces: list[bytes]) -> None:
    sent = _sent(pieces)
    assert b"\r\n.\r\n" not in b"\r\n" + sent
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", sent)


@given(_PIECES)
def test_how_it_is_read_makes_no_difference(pieces: list[bytes]) -> None:
    assert _sent(pieces) == _sent([b"".join(pieces)])
