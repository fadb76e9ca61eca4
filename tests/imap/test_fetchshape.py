"""RFC 9051 §7.5.2: bulk rows. The fast way and the general way read every stream alike."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items, responses
from gateway.imap.wire.fetchrow import fetch_items
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.responses import Untagged
from tests.imap import transcripts
from tests.imap.streams import ATOMS, OCTETS, chunked, is_quotable, literal, quoted
from tests.imap.transcripts import Transcript

HEADER = items.section("HEADER.FIELDS", fields=["From", "To"], window=(0, 65536))
PASS_1 = [
    items.UID,
    items.FLAGS,
    items.MODSEQ,
    items.INTERNALDATE,
    items.SIZE,
    items.X_GUID,
    HEADER,
]
FLAGS = [items.UID, items.FLAGS, items.MODSEQ]
STRUCTURES = [items.UID, items.BODYSTRUCTURE]
ASKED = {
    "pass 1": PASS_1,
    "RFC 8474": [items.UID, items.FLAGS, items.INTERNALDATE, items.SIZE, items.EMAILID, HEADER],
    "Gmail": [items.UID, items.FLAGS, items.MODSEQ, items.SIZE, items.X_GM_MSGID, HEADER],
    "flags": FLAGS,
    "structures": STRUCTURES,
    "all": [items.UID, items.FLAGS, items.BODYSTRUCTURE, HEADER],
}
HOSTILE = b"Subject: x\r\n\r\n)\r\n* 5 FETCH (UID 666 FLAGS (\\Seen) MODSEQ (1) "


class Reading:
    """A stream read the way a connection reads it, with the fast way or without."""

    def __init__(self, asked: list[items.Item], *, fast: bool) -> None:
        self.shape = Shape(asked)
        self.columns = Columns()
        self.fast_rows = 0
        self.others: list[bytes] = []
        self._asked = asked
        self._fast = fast
        self._framer = Framer()

    def feed(self, chunk: bytes) -> None:
        position = 0
        while position < len(chunk):
            if self._fast and not self._framer.pending:
                before = len(self.columns)
                chunk = self.shape.take(chunk[position:], self.columns)
                self.fast_rows += len(self.columns) - before
                position = 0
            frame, position = self._framer.read(chunk, position)
            if frame is None:
                continue
            response = responses.parse(frame)
            if isinstance(response, Untagged) and response.name == "FETCH":
                if self._fast and not self.shape.take(frame.octets + b"\r\n", self.columns):
                    continue
                row = self.shape.row(response)
                if len(row) == len(self._asked):
                    self.columns.append(row)
                    continue
            self.others.append(frame.octets)


def read(asked: list[items.Item], chunks: list[bytes], *, fast: bool) -> Reading:
    reading = Reading(asked, fast=fast)
    for chunk in chunks:
        reading.feed(chunk)
    return reading


_numbers = st.integers(0, 1 << 64).map(lambda n: b"%d" % n) | st.sampled_from(
    [b"007", b"-1", b"9e6", b"9.3736e+06", b"0", b"1" * 19, b"9" * 19, b"9" * 25, b"NIL", b'"5"']
)
_uids = st.integers(1, 999).map(lambda n: b"%d" % n) | st.sampled_from(
    [b"4294967295", b"3999999999", b"1000000000", b"007", b'"12"']
)
_strings = OCTETS.map(lambda o: quoted(o) if is_quotable(o) else literal(o))
_flags = st.lists(
    ATOMS
    | st.sampled_from([b'"q"', b'"\\\\Seen"', b"5", b"NIL", b"a[b]", b"\xc3\xa4", b"a\tb", b"(x)"]),
    max_size=3,
).map(lambda flags: b"FLAGS (%s)" % b" ".join(flags)) | st.just(b"FLAGS NIL")
_structure = st.recursive(
    _strings | st.sampled_from([b"NIL", b"12", b'"a) X"', b"nil"]),
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda p: b"(%s)" % b" ".join(p)),
    max_leaves=8,
)
_header = st.one_of(
    OCTETS.map(literal),
    st.sampled_from([literal(HOSTILE + b"{3}\r\nabc)\r\n"), literal(b""), b"NIL", b'""', b'"x"']),
    OCTETS.map(lambda octets: literal(HOSTILE + octets)),
)
_ITEMS: dict[str, st.SearchStrategy[bytes]] = {
    "UID": _uids.map(lambda n: b"UID " + n),
    "FLAGS": _flags,
    "MODSEQ": _numbers.map(lambda n: b"MODSEQ (%s)" % n),
    "INTERNALDATE": st.sampled_from(
        [
            b'INTERNALDATE "01-Mar-2024 09:00:00 +0000"',
            b"INTERNALDATE NIL",
            b'INTERNALDATE "\\""',
            b'INTERNALDATE "a"b"',
            b'INTERNALDATE ""',
            b"INTERNALDATE {3}\r\na b",
        ]
    ),
    "RFC822.SIZE": _numbers.map(lambda n: b"RFC822.SIZE " + n),
    "X-GUID": (ATOMS | _strings | st.just(b"")).map(lambda v: b"X-GUID " + v),
    "EMAILID": (ATOMS.map(lambda v: b"(%s)" % v) | ATOMS | st.sampled_from([b"NIL", b"(NIL)"])).map(
        lambda v: b"EMAILID " + v
    ),
    "X-GM-MSGID": (_numbers | ATOMS).map(lambda v: b"X-GM-MSGID " + v),
    HEADER.name: _header.map(lambda v: b"BODY[HEADER.FIELDS (FROM TO)]<0> " + v),
    "BODYSTRUCTURE": (_structure | st.just(b"NIL")).map(lambda v: b"BODYSTRUCTURE " + v),
}


@st.composite
def streams(draw: st.DrawFn, asked: list[items.Item]) -> bytes:
    """Rows in the shape asked for, others, and responses that are no rows."""
    octets = b""
    for _ in range(draw(st.integers(0, 6))):
        names = [item.name for item in asked]
        kind = draw(st.sampled_from(["row", "row", "row", "shuffled", "less", "more", "other"]))
        if kind == "other":
            octets += draw(
                st.sampled_from(
                    [b"* 5 EXISTS\r\n", b"* VANISHED 7\r\n", b"* OK x {3}\r\n", b"\r\n"]
                )
            )
            continue
        if kind == "shuffled":
            names = draw(st.permutations(names))
        elif kind == "less":
            names = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        elif kind == "more":
            names += [draw(st.sampled_from(["FLAGS", "MODSEQ"]))]
        parts = [draw(_ITEMS[name]) for name in names]
        if kind == "row" and draw(st.booleans()):
            parts = [_PLAIN.get(name, part) for name, part in zip(names, parts, strict=True)]
        octets += b"* %d FETCH (%s)\r\n" % (draw(st.integers(1, 99)), b" ".join(parts))
    return octets


_PLAIN = {  # so that whole rows often have the fast shape
    "FLAGS": b"FLAGS (\\Seen)",
    "MODSEQ": b"MODSEQ (12)",
    "INTERNALDATE": b'INTERNALDATE "01-Mar-2024 09:00:00 +0000"',
    "RFC822.SIZE": b"RFC822.SIZE 123",
    "X-GUID": b"X-GUID abc",
    "EMAILID": b"EMAILID (M5)",
    "X-GM-MSGID": b"X-GM-MSGID 1278455344230334865",
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
@settings(max_examples=250, deadline=None)
@given(st.data())
def test_both_ways_agree_on_any_stream_and_any_split(
    asked: list[items.Item], data: st.DataObject
) -> None:
    stream = data.draw(streams(asked))
    try:
        general = read(asked, [stream], fast=False)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            read(asked, data.draw(chunked(stream)), fast=True)
        return
    fast = read(asked, data.draw(chunked(stream)), fast=True)
    assert fast.columns == general.columns
    assert fast.others == general.others
    lengths = {len(getattr(fast.columns, field.name)) for field in fields(Columns)}
    assert lengths <= {0, len(fast.columns)}


def _row(uid: int, header: bytes = b"From: a\r\n\r\n", guid: bytes = b"abc") -> bytes:
    return (
        b'* %d FETCH (UID %d FLAGS (\\Seen $Forwarded) MODSEQ (12) INTERNALDATE "01-Mar-2024'
        b' 09:00:00 +0000" RFC822.SIZE 123 X-GUID %s BODY[HEADER.FIELDS (FROM TO)]<0> %s)\r\n'
    ) % (uid, uid, guid, literal(header))


def _columns(asked: list[items.Item], stream: bytes, chunk: int, *, fast: bool) -> Reading:
    return read(asked, [stream[at : at + chunk] for at in range(0, len(stream), chunk)], fast=fast)


_FETCHES = [each for each in transcripts.transcripts() if each.count(rb"\* \d+ FETCH")]


@pytest.mark.parametrize("played", _FETCHES, ids=[each.name for each in _FETCHES])
def test_both_ways_agree_on_what_real_servers_sent(played: Transcript) -> None:
    """Whatever had been asked for, and however it comes."""
    stream = played.octets
    sizes = [len(stream), 1024] if len(stream) > 10_000 else [len(stream), 1024, 17, 1]
    for asked in ASKED.values():
        general = _columns(asked, stream, len(stream), fast=False)
        for size in sizes:
            fast = _columns(asked, stream, size, fast=True)
            assert fast.columns == general.columns
            assert fast.others == general.others


@pytest.mark.parametrize("order", [1, -1], ids=["as asked", "the other way round"])
def test_both_ways_agree_on_rows_made_of_what_real_servers_sent(order: int) -> None:
    """The parts of real rows, in rows of the shape that is asked for."""
    parts = [_real_items(response) for each in _FETCHES for response in each.untagged()]
    rows = [row for row in parts if {"UID", "FLAGS"} <= row.keys()]
    structures = [row for row in parts if {"UID", "BODYSTRUCTURE"} <= row.keys()]
    assert len(rows) > 150
    assert len(structures) > 40
    for asked, found in ((FLAGS, rows), (STRUCTURES, structures)):
        names = [item.name for item in asked][::order]
        stream = b"".join(
            b"* %d FETCH (%s)\r\n"
            % (number, b" ".join(b"%s %s" % (n.encode(), row[n]) for n in names if n in row))
            for number, row in enumerate(found, 1)
        )
        general = _columns(asked, stream, len(stream), fast=False)
        fast = _columns(asked, stream, 4096, fast=True)
        assert fast.columns == general.columns
        assert fast.others == general.others
        assert fast.fast_rows > len(found) / 2


def _real_items(response: Untagged) -> dict[str, bytes]:
    if response.name != "FETCH":
        return {}
    return {name: raw for name, _, raw in fetch_items(response) if raw}


def test_ordinary_rows_go_the_fast_way() -> None:
    reading = read(PASS_1, [b"".join(map(_row, range(1, 301)))], fast=True)
    assert reading.fast_rows == len(reading.columns) == 300
    assert reading.columns.uid[:2] == [b"1", b"2"]
    assert reading.columns.flags[0] == b"\\Seen $Forwarded"
    assert reading.columns.modseq[0] == b"12"
    assert reading.columns.internaldate[0] == b"01-Mar-2024 09:00:00 +0000"
    assert reading.columns.size[0] == b"123"
    assert reading.columns.identity[0] == b"abc"
    assert reading.columns.header[0] == b"From: a\r\n\r\n"
    assert reading.columns.structure == []


def test_a_header_that_imitates_rows_is_one_header() -> None:
    evil = b"From: a\r\n\r\n)\r\n" + _row(666) + b"* 7 EXPUNGE\r\n"
    stream = _row(1) + _row(2, evil) + _row(3)
    reading = read(PASS_1, [stream], fast=True)
    assert reading.columns.uid == [b"1", b"2", b"3"]
    assert reading.columns.header[1] == evil
    assert reading.others == []
    assert reading.fast_rows == 2  # the row after it is looked for again with the next chunk


def test_responses_between_rows_are_kept_and_the_fast_way_goes_on() -> None:
    stream = _row(1) + b"* 9 EXISTS\r\n" + _row(2) + _row(3) + b"g1 OK done\r\n" + _row(4)
    reading = read(PASS_1, [stream], fast=True)
    assert reading.columns.uid == [b"1", b"2", b"3", b"4"]
    assert reading.others == [b"* 9 EXISTS", b"g1 OK done"]
    assert reading.fast_rows == 4


def test_the_order_of_a_server_is_learned_from_its_first_row() -> None:
    """Cyrus, Gmail and Exchange answer in an order of their own."""
    rows = [
        b'* %d FETCH (FLAGS () X-GUID abc INTERNALDATE "x" RFC822.SIZE 1 MODSEQ (5) UID %d '
        b"BODY[HEADER.FIELDS (FROM TO)]<0> {2}\r\n\r\n)\r\n" % (uid, uid)
        for uid in range(1, 51)
    ]
    reading = read(PASS_1, [b"".join(rows)], fast=True)
    assert len(reading.columns) == 50
    assert reading.fast_rows == 49


def test_items_after_a_body_structure_are_not_part_of_it() -> None:
    stream = (
        b'* 1 FETCH (UID 1 BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 1 1))\r\n'
        b'* 2 FETCH (UID 2 BODYSTRUCTURE ("text" "plain") FLAGS (\\Seen))\r\n'
        b'* 3 FETCH (UID 3 BODYSTRUCTURE ("a) B" ("c" "d")))\r\n'
    )
    reading = read(STRUCTURES, [stream], fast=True)
    assert reading.columns.uid == [b"1", b"2", b"3"]
    assert reading.columns.structure[1:] == [b'("text" "plain")', b'("a) B" ("c" "d"))']


def test_a_structure_with_literals_keeps_them() -> None:
    raw = b'("text" {3}\r\na"b NIL)'
    reading = read(STRUCTURES, [b"* 1 FETCH (UID 1 BODYSTRUCTURE %s)\r\n" % raw], fast=True)
    assert reading.columns.structure == [raw]


@pytest.mark.parametrize(
    "asked",
    [
        [items.FLAGS],
        [items.UID, items.UID],
        [items.UID, HEADER, items.section("TEXT")],
        [items.UID, items.PREVIEW],
    ],
)
def test_items_without_a_shape_are_refused(asked: list[items.Item]) -> None:
    with pytest.raises(ValueError, match="FETCH"):
        Shape(asked)


def test_a_row_of_a_message_that_went_away_has_gaps() -> None:
    """Dovecot 2.3 says this of a message expunged meanwhile: no value for X-GUID, and NIL."""
    row = (
        b'* 8 FETCH (UID 11 FLAGS () MODSEQ (3) INTERNALDATE "01-Jan-1970 00:00:00 +0000" '
        b"RFC822.SIZE 148 X-GUID  BODY[HEADER.FIELDS (FROM TO)]<0> NIL)\r\n"
    )
    reading = Reading(PASS_1, fast=True)
    reading.feed(row)
    columns = reading.columns
    assert (columns.uid, columns.identity, columns.header) == ([b"11"], [None], [None])
    assert columns.size == [b"148"]
