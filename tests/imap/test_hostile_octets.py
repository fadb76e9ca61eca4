"""RFC 9051 §9: whatever octets come, there is a value or a ProtocolError, and soon."""

from __future__ import annotations

import ast
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gateway.imap
from gateway.imap.commands.fetch import Fetch
from gateway.imap.commands.fetch_columns import HEADER_OCTETS, FetchColumns, header_fields
from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items, modutf7, responses, sequences, tokens
from gateway.imap.wire.fetchrow import fetch_items
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.framer import Frame, Framer
from gateway.imap.wire.responses import Tagged, Text, Untagged
from gateway.mime.structure import from_bodystructure, plausible
from tests.imap.streams import ATOMS, OCTETS, chunked, literal, quoted
from tests.patterns import bad_repeats, patterns_of

_KEPT = Path(__file__).parents[1] / "data" / "hostile-responses.txt"
_OK = Tagged(b"g1", "OK", Text(None, ""))
_HEADER = header_fields(["To"])
_ROWS = [items.UID, items.FLAGS, items.MODSEQ, items.INTERNALDATE, items.SIZE, _HEADER]
_STRUCTURES = [items.UID, items.BODYSTRUCTURE]


# --- Reading everything that can be read of a stream ------------------------------------------


def _read(response: Untagged) -> None:
    """All that any command looks at."""
    if response.name in responses.STATES:
        assert isinstance(response.text, Text)
        return
    assert all(0 < uid < 1 << 32 for uid in response.numbers)
    for command in (
        Fetch(b"1:*", [items.FLAGS, items.BODYSTRUCTURE, items.section()]),
        FetchColumns(b"1:*", _ROWS, Shape(_ROWS)),
        FetchColumns(b"1:*", _STRUCTURES, Shape(_STRUCTURES)),
    ):
        command.collect(response)
        command.finish(_OK)
        assert command.unclaimed() in ([], [response])
    if response.name == "FETCH":
        for name, value, raw in fetch_items(response):
            assert raw in response.frame.octets
            if name == "BODYSTRUCTURE" and isinstance(value, list):
                plausible(from_bodystructure(value))


def _consume(octets: bytes, chunks: list[bytes] | None = None) -> int:
    """How many responses could be read before the first that could not."""
    framer = Framer()
    count = 0
    try:
        for chunk in chunks or [octets]:
            for frame in framer.feed(chunk):
                response = responses.parse(frame)
                if isinstance(response, Untagged):
                    _read(response)
                    response.values  # noqa: B018 - reads it
                count += 1
    except ProtocolError:
        pass
    return count


# --- Any octets -------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        *(b"* ", b"* 1 FETCH (", b"g1 OK ", b"+ ", b"* OK [", b"* LIST () ", b"* SEARCH ", b"NIL "),
        *(b"UID 1 ", b"FLAGS (", b"MODSEQ (5) ", b"BODYSTRUCTURE (", b"BODY[", b"BODY[]<0> "),
        *(b"{5}\r\n", b"{0}\r\n", b"~{1}\r\n", b"{-1}", b"{99999999999}\r\n", b"\r\n", b")\r\n"),
        *(
            b"(",
            b")",
            b'"',
            b"\\",
            b" ",
            b"]",
            b"[",
            b"\0",
            b"\r",
            b"\n",
            b"<1>",
            b"9" * 30,
            b"1e9",
        ),
        *(b'("text" "plain" NIL NIL NIL "7bit" 1 1)', b'("a" "b', b"RFC822.SIZE 1 ", b"\xff"),
        b'INTERNALDATE "01-Mar-2024 09:00:00 +0000" ',
        b"BODY[HEADER.FIELDS (TO)]<0> {2}\r\n\r\n",
    ]
)
_STREAMS = st.lists(
    st.one_of(
        _WORDS, _WORDS, ATOMS, OCTETS.map(literal), OCTETS.map(quoted), st.binary(max_size=9)
    ),
    max_size=30,
).map(b"".join)


@pytest.mark.threat("R23")
@settings(max_examples=400, deadline=None)
@given(st.data(), _STREAMS)
def test_any_stream_has_values_or_an_error(data: st.DataObject, octets: bytes) -> None:
    once = _consume(octets + b"\r\n")
    assert _consume(octets, data.draw(chunked(octets + b"\r\n"))) == once


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"\0" * 50)
@example(b"* 1 FETCH (UID 1 BODYSTRUCTURE (")
def test_any_octets_have_values_or_an_error(octets: bytes) -> None:
    for line in (octets, b"* " + octets, b"* 1 FETCH (" + octets + b")", b"* OK [" + octets):
        _consume(line + b"\r\n")


@settings(max_examples=300, deadline=None)
@given(_STREAMS)
def test_bulk_rows_never_hold_what_is_no_row(octets: bytes) -> None:
    for asked in (_ROWS, _STRUCTURES):
        shape, columns = Shape(asked), Columns()
        rest = shape.take(octets, columns)
        assert octets.endswith(rest)
        assert {len(getattr(columns, name)) for name in shape.columns} == {len(columns)}
        assert all(0 < int(uid) < 1 << 32 for uid in columns.uid)
        assert all(len(header or b"") <= HEADER_OCTETS for header in columns.header)


def _cases() -> Iterator[bytes]:
    for line in _KEPT.read_text().splitlines():
        if line and not line.startswith("#"):
            value: bytes = ast.literal_eval(line)
            yield value


def test_what_was_a_problem_once() -> None:
    """Each line of the file is a stream; what is found is added to it."""
    cases = list(_cases())
    assert len(cases) > 60
    for octets in cases:
        _consume(octets)
        for chunk in (1, 3):
            parts = [octets[at : at + chunk] for at in range(0, min(len(octets), 3_000), chunk)]
            _consume(b"", parts)


# --- How long it takes ------------------------------------------------------------------------


@pytest.mark.threat("R21")
def test_no_pattern_can_backtrack_without_bound() -> None:
    """Of those that what servers send is matched with."""
    sent = "gateway.imap.wire.encode."
    patterns = {n: each for n, each in patterns_of(gateway.imap) if not n.startswith(sent)}
    assert len(patterns) > 15
    assert {name: bad for name, each in patterns.items() if (bad := bad_repeats(each))} == {}


_SECONDS = 20
"""Of the processor. In proportion to the length it takes some tenths; else minutes."""
_SIZE = 1 << 19


class TooSlow(Exception):
    """A function does not come to an end."""


@contextmanager
def _bounded() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def _one_line(octets: bytes) -> None:
    """A response in one line, read in every way."""
    try:
        response = responses.parse(Frame(octets.replace(b"\r\n", b"  ")))
        if isinstance(response, Untagged):
            assert isinstance(response.text, Text)
            assert isinstance(response.numbers, list)
            fetch_items(response)
    except ProtocolError:
        pass


def _bulk(octets: bytes) -> None:
    for asked in (_ROWS, _STRUCTURES):
        Shape(asked).take(octets, Columns())


def _sets(octets: bytes) -> None:
    for parse in (sequences.parse_ranges, sequences.parse_spans, tokens.parse):
        try:
            parse(octets)
        except ProtocolError:
            continue


def _names(octets: bytes) -> None:
    modutf7.decode(octets)
    items.label(octets)
    responses.number(octets)
    responses.parse_text(octets)


_PIECES = [
    *(b'"', b'"a', b'" ', b'\\"', b"(", b")", b"()", b"[", b"]", b"BODY[", b'BODY["" ', b"BODY[ ("),
    *(b'BODY[ ("\\"BODY[ (', b"BODY[]<1", b"a ", b"{1", b"{0}\r\n", b"{2}\r\n\r\n", b"\r", b"\0"),
    *(b"1,", b"1:2,", b"* ", b"* 1 FETCH (", b")\r\n* 1 FETCH (UID 1 ", b") BODY[", b") FLAGS ("),
    *(b"* 1 FETCH (UID 1 BODYSTRUCTURE (", b"* 1 FETCH (UID 1 BODYSTRUCTURE (a) X (b))\r\n"),
    *(b" BODYSTRUCTURE (", b"&", b"&A", b"&AA-", b'[a "', b"[a (", b"<1", b"1e", b"NIL ", b"\xff"),
]


@pytest.mark.threat("R21")
@pytest.mark.parametrize("piece", _PIECES)
@pytest.mark.parametrize("read", [_consume, _one_line, _bulk, _sets, _names])
def test_reading_takes_time_in_proportion(piece: bytes, read: Callable[[bytes], object]) -> None:
    starts = [b"", b"* 1 FETCH (UID 1 BODYSTRUCTURE ("] if read in (_consume, _one_line) else [b""]
    for start in starts:
        octets = start + piece * (_SIZE // len(piece))
        with _bounded():
            read(octets + b"\r\n" if read is _consume else octets)
