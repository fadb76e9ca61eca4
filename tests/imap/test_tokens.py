"""RFC 9051 §4: atoms, strings, lists, NIL, from any split of the stream and any spelling."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import tokens
from gateway.imap.wire.framer import Frame, Framer
from gateway.imap.wire.tokens import Span, Value, parse, tokenize
from tests.imap.streams import ATOMS, strings

Spelled = tuple[Value, bytes]

_leaves: st.SearchStrategy[Spelled] = st.one_of(
    strings(),
    ATOMS.filter(lambda atom: atom.upper() != b"NIL").map(lambda atom: (atom, atom)),
    st.sampled_from([(None, b"NIL"), (None, b"nil"), (b"NIL", b'"NIL"'), (b"5", b"5")]),
)


def _list(parts: list[Spelled]) -> Spelled:
    return [value for value, _ in parts], b"(%s)" % b" ".join(spelled for _, spelled in parts)


_values = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=5).map(_list), max_leaves=20)


def _frame(octets: bytes) -> Frame:
    (frame,) = Framer().feed(b"* " + octets + b"\r\n")
    return frame


@given(st.lists(_values, max_size=5))
def test_values_come_out_as_they_were_spelled(spelled: list[Spelled]) -> None:
    octets = b" ".join(each for _, each in spelled)
    assert tokenize(_frame(octets), 2) == [value for value, _ in spelled]


@given(_values)
def test_a_raw_value_can_be_parsed_on_its_own(spelled: Spelled) -> None:
    value, octets = spelled
    assert parse(octets) == value


@given(st.lists(_values, max_size=6))
def test_spans_are_where_the_values_of_the_first_list_stand(spelled: list[Spelled]) -> None:
    frame = _frame(_list(spelled)[1])
    spans: list[Span] = []
    values = tokenize(frame, 2, spans)
    assert [frame.octets[start:end] for start, end in spans] == [each for _, each in spelled]
    assert values == [[value for value, _ in spelled]]


def test_a_section_is_one_token_with_its_list_and_origin() -> None:
    row = b'(BODY[HEADER.FIELDS (FROM "X]Y")]<0> {2}\r\nab body[1.MIME] NIL BINARY[2] ~{1}\r\n\0)'
    assert tokenize(_frame(row), 2) == [
        [b'BODY[HEADER.FIELDS (FROM "X]Y")]<0>', b"ab", b"body[1.MIME]", None, b"BINARY[2]", b"\0"]
    ]


@pytest.mark.parametrize(
    ("octets", "values"),
    [
        (b"[Gmail]/All", [b"[Gmail]/All"]),
        (b"(a[b \\*)", [[b"a[b", b"\\*"]]),
        (b'("a" "b"("c"))', [[b"a", b"b", [b"c"]]]),
        (b"  a   b ", [b"a", b"b"]),
        (b'"a\\"\\\\b"', [b'a"\\b']),
    ],
)
def test_lax_spellings_are_read(octets: bytes, values: list[Value]) -> None:
    assert tokenize(_frame(octets), 2) == values


@pytest.mark.parametrize("octets", [b"(", b")", b"(()", b"())", b'"a', b'(a "b\\")', b"a\0b"])
def test_what_is_no_data_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        tokenize(_frame(octets), 2)


def test_nesting_is_bounded() -> None:
    deep = tokens.MAX_DEPTH
    value: Value = parse(b"(" * deep + b")" * deep)
    for _ in range(deep):
        assert isinstance(value, list)
        value = value[0] if value else None
    with pytest.raises(ProtocolError):
        parse(b"(" * (deep + 1) + b")" * (deep + 1))


@pytest.mark.parametrize("raw", [b"", b"a b", b"() ()"])
def test_not_one_value_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(raw)


@given(st.binary(max_size=60))
def test_no_octets_raise_anything_but_protocol_error(octets: bytes) -> None:
    try:
        frames = Framer().feed(b"* " + octets + b"\r\n")
        values = [cast(object, tokenize(frame, 2)) for frame in frames]
    except ProtocolError:
        return
    assert all(isinstance(each, list) for each in values)
