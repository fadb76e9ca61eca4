"""RFC 9051 §9: sets in answers, in their order or as ranges, and bounded."""

from __future__ import annotations

import pytest

from gateway.imap.errors import ProtocolError
from gateway.imap.wire.encode import MAX_UID
from gateway.imap.wire.sequences import parse_numbers, parse_ranges


def test_ranges_are_ascending_and_apart() -> None:
    assert parse_ranges(b"41,43:116,5:3,4:8,9") == [(3, 9), (41, 41), (43, 116)]
    assert parse_ranges(b"7:*") == [(7, MAX_UID)]


def test_numbers_keep_their_order() -> None:
    """RFC 5267: a sorted result; ranges may run down."""
    assert parse_numbers(b"6:7,5,9:7") == [6, 7, 5, 9, 8, 7]


@pytest.mark.parametrize("octets", [b"", b"a", b"1,", b"1:2:3", b"-1", b"9" * 5000, b"1 2"])
def test_what_is_no_set_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_ranges(octets)
    with pytest.raises(ProtocolError):
        parse_numbers(octets)


@pytest.mark.parametrize("octets", [b"1:4294967295", b"1:*", b"1:3000000,1:3000000"])
def test_a_set_of_billions_is_refused(octets: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_numbers(octets)
