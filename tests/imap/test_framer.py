"""RFC 9051 §4.3: framing. What arrives is the same however it is cut, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import framer
from gateway.imap.wire.framer import Frame, Framer
from tests.imap.streams import OCTETS, chunked, literal


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, Frame]:
    """A response as sent, and the frame it should become."""
    sent, spans = b"* LIST", []
    for octets in draw(st.lists(OCTETS, max_size=3)):
        sent += draw(st.sampled_from([b" ", b" ~", b" (a b "])) + literal(octets)
        spans.append((len(sent) - len(octets), len(octets)))
    sent += draw(st.sampled_from([b"", b" x", b")", b" {5", b" 5}", b" \r x \n"]))
    return sent + b"\r\n", Frame(sent, tuple(spans))


@given(st.lists(responses(), max_size=5), st.data())
def test_any_split_of_a_stream_gives_the_same_responses(
    parts: list[tuple[bytes, Frame]], data: st.DataObject
) -> None:
    stream = b"".join(sent for sent, _ in parts)
    expected = [frame for _, frame in parts]
    one = Framer()
    assert one.feed(stream) == expected
    assert not one.pending
    many = Framer()
    frames = [frame for chunk in data.draw(chunked(stream)) for frame in many.feed(chunk)]
    assert frames == expected


def test_single_octets_are_enough() -> None:
    stream = b"* 1 FETCH (X {3}\r\na\r\n Y {0}\r\n)\r\n\r\ng1 OK done\r\n"
    one_by_one = Framer()
    frames = [f for i in range(len(stream)) for f in one_by_one.feed(stream[i : i + 1])]
    assert frames == Framer().feed(stream)
    assert [frame.octets[:3] for frame in frames] == [b"* 1", b"", b"g1 "]


@pytest.mark.parametrize(
    "line", [b"g1 NO no mailbox {5}", b"* OK see {5}", b"* BYE {5}", b"+ {5}", b"* no x{5}"]
)
def test_text_that_looks_like_an_announcement_is_text(line: bytes) -> None:
    assert Framer().feed(line + b"\r\n") == [Frame(line)]


@pytest.mark.parametrize(
    "announced",
    [b"%d" % (framer.MAX_LITERAL + 1), b"9" * 20, b"9" * 5000, b"0" * 40, b"99999999999"],
)
def test_an_oversized_literal_is_refused_when_it_is_announced(announced: bytes) -> None:
    reader = Framer()
    with pytest.raises(ProtocolError):
        reader.feed(b"* 1 FETCH (BODY[] {%s}\r\n" % announced)


def test_a_line_without_an_end_is_refused_in_time() -> None:
    reader = Framer()
    with pytest.raises(ProtocolError):  # noqa: PT012 - the bound must hold over many chunks
        for _ in range(framer.MAX_LINE // 65_536 + 2):
            reader.feed(b"x" * 65_536)


def test_many_literals_in_one_response_are_refused_in_time() -> None:
    reader = Framer()
    part = b" {%d}\r\n" % framer.MAX_LITERAL + bytes(framer.MAX_LITERAL)
    with pytest.raises(ProtocolError):  # noqa: PT012 - the bound must hold over many chunks
        reader.feed(b"* 1 FETCH (")
        for _ in range(framer.MAX_RESPONSE // framer.MAX_LITERAL + 1):
            reader.feed(part)


def test_a_chunk_can_be_read_one_response_at_a_time() -> None:
    reader = Framer()
    chunk = b"* 1 EXISTS\r\n* 2 EXISTS\r\n* 3"
    first, position = reader.read(chunk)
    assert first == Frame(b"* 1 EXISTS")
    assert position == 12
    assert not reader.pending
    assert reader.read(chunk, 24) == (None, len(chunk))
    assert reader.pending
