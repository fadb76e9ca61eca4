"""RFC 5804 §1.2, §4: what arrives is the same however it is cut, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.managesieve.errors import ProtocolError
from gateway.managesieve.wire import framer
from gateway.managesieve.wire.framer import Framer
from gateway.managesieve.wire.tokens import MAX_NESTING, Atom, Line
from tests.imap.streams import chunked
from tests.managesieve.streams import completions, data


@given(st.lists(data() | completions(), max_size=6), st.data())
def test_any_cut_of_a_stream_gives_the_same_lines(
    parts: list[tuple[Line, bytes]], cuts: st.DataObject
) -> None:
    stream = b"".join(sent for _, sent in parts)
    expected = [line for line, _ in parts]
    whole = Framer()
    assert whole.feed(stream) == expected
    assert not whole.pending
    many = Framer()
    assert [line for chunk in cuts.draw(chunked(stream)) for line in many.feed(chunk)] == expected


def test_single_octets_are_enough() -> None:
    stream = b'{2}\r\n\r\n\r\n"a\\"b" ACTIVE\r\nOK (TAG {0}\r\n) {3+}\r\nx\r\n\r\n'
    reader = Framer()
    assert [line for i in range(len(stream)) for line in reader.feed(stream[i : i + 1])] == [
        (b"\r\n",),
        (b'a"b', "ACTIVE"),
        ("OK", (Atom("TAG"), b""), b"x\r\n"),
    ]


@given(st.binary(max_size=200), st.data())
def test_any_octets_are_read_or_refused_alike(octets: bytes, cuts: st.DataObject) -> None:
    def outcome(chunks: list[bytes]) -> list[Line] | None:
        reader = Framer()
        lines = []
        for chunk in chunks:
            try:
                lines += reader.feed(chunk)
            except ProtocolError:
                return None
        return lines

    assert outcome([octets]) == outcome(cuts.draw(chunked(octets)))


@pytest.mark.parametrize(
    "line",
    [
        b'"never ends',
        b'"a\\n"',
        b'"a\nb"',
        b'"a\0b"',
        b"",
        b"FINE",
        b'("a") "b"',
        b"OK )",
        b"OK (",
        b"\xff",
        b"OK \x01",
        b"(" * (MAX_NESTING + 2) + b")" * (MAX_NESTING + 2),
    ],
)
def test_what_is_not_managesieve_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Framer().feed(line + b"\r\n")


@pytest.mark.parametrize("size", [b"%d" % (framer.MAX_RESPONSE + 1), b"4294967296", b"9" * 30])
def test_an_oversized_literal_is_refused_when_it_is_announced(size: bytes) -> None:
    with pytest.raises(ProtocolError):
        Framer().feed(b"{%b}\r\n" % size)


def test_a_line_without_an_end_is_refused_in_time() -> None:
    reader = Framer()
    with pytest.raises(ProtocolError):  # noqa: PT012 - the bound must hold over many chunks
        for _ in range(framer.MAX_LINE // 1000 + 2):
            reader.feed(b"x" * 1000)


def test_a_response_without_an_end_is_refused_in_time() -> None:
    reader = Framer()
    line = b'"' + b"x" * 60_000 + b'"\r\n'
    with pytest.raises(ProtocolError):  # noqa: PT012 - the bound must hold over many chunks
        for _ in range(framer.MAX_RESPONSE // len(line) + 2):
            reader.feed(line)


def test_the_bound_is_of_one_response() -> None:
    reader = Framer()
    response = b"{60000}\r\n" + b"x" * 60_000 + b"\r\nOK\r\n"
    for _ in range(framer.MAX_RESPONSE // len(response) + 2):
        assert len(reader.feed(response)) == 2
