r"""RFC 8621 §4.1.1: IMAP flags (RFC 9051 §2.3.2) and JMAP keywords."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.keywords import DELETED, DRAFT, SEEN, KeywordTable, is_keyword, select, widen

ALLOWED = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '(){]%*"\\')
SYSTEM = {
    b"\\Seen": "$seen",
    b"\\Flagged": "$flagged",
    b"\\Answered": "$answered",
    b"\\Draft": "$draft",
}
atoms = st.text(ALLOWED, min_size=1, max_size=5).map(str.encode)
flags = st.sampled_from([*SYSTEM, b"\\Deleted", b"\\Recent", b"$Junk"]) | atoms
flag_lists = st.lists(flags, max_size=5)


def shown(given_flags: list[bytes]) -> set[str]:
    names = {SYSTEM.get(flag, flag.decode()).lower() for flag in given_flags}
    return {name for name in names if not name.startswith("\\")} - {"nil"}


@pytest.mark.checklist("N04", "N05")
@given(st.lists(flag_lists, max_size=40))
def test_flags_are_shown_as_keywords_in_lower_case(lists: list[list[bytes]]) -> None:
    table = KeywordTable()
    column = table.parse_column([b" ".join(each) for each in lists])
    again = table.parse_column([b" ".join(each).upper() for each in lists])
    column = widen(column, table.words)
    assert (column == again).all()
    for row, given_flags in zip(column, lists, strict=True):
        keywords = table.keywords(table.unpack(row))
        assert set(keywords) == shown(given_flags)
        assert set(keywords.values()) <= {True}


@pytest.mark.checklist("N03")
def test_deleted_and_recent_are_no_keywords() -> None:
    table = KeywordTable()
    assert table.keywords(table.parse(b"\\Deleted \\Recent \\Foo")) == {}
    assert table.parse(b"\\deleted") == DELETED
    assert table.parse(b"\\Recent") == 0


@pytest.mark.checklist("N05")
def test_a_keyword_has_one_to_255_of_the_allowed_characters() -> None:
    for code in range(0x100):
        allowed = 0x21 <= code <= 0x7E and chr(code) not in '(){]%*"\\'
        assert is_keyword(chr(code)) == allowed, hex(code)
    assert is_keyword("x" * 255)
    assert not any(map(is_keyword, ("", "x" * 256, "x\n", "ſeen", "ｆ")))


@pytest.mark.checklist("N05")
def test_flags_that_no_keyword_may_be_are_not_shown() -> None:
    table = KeywordTable()
    assert table.keywords(table.parse(b"ok] \xc3\xbc fine " + b"x" * 256)) == {"fine": True}
    assert table.names == ("fine",)


@given(st.lists(flag_lists, max_size=30))
def test_bits_hold_through_packing_and_a_new_table(lists: list[list[bytes]]) -> None:
    table = KeywordTable(tuple(f"label{n}" for n in range(60)))
    values = [table.parse(b" ".join(each)) for each in lists]
    again = KeywordTable(table.names)
    for value, row in zip(values, table.pack(values), strict=True):
        assert table.unpack(row) == value
        assert again.keywords(value) == table.keywords(value)


def test_a_keyword_asked_for_is_found_in_any_case_or_not_at_all() -> None:
    """RFC 8621 §4.4.1 hasKeyword."""
    table = KeywordTable()
    bits = table.parse(b"Label \\Seen")
    assert table.bit("LABEL") & bits
    assert table.bit("$Seen") == SEEN
    assert table.bit("") == table.bit("unheard-of") == 0


@given(st.lists(st.integers(0, 2**130 - 1), max_size=9), st.integers(0, 2**130 - 1))
def test_selection_finds_rows_with_any_of_the_bits(values: list[int], mask: int) -> None:
    table = KeywordTable(tuple(f"label{n}" for n in range(130)))
    found = select(table.pack(values), mask)
    assert found.tolist() == [bool(value & mask) for value in values]


def test_widening_keeps_what_is_there() -> None:
    bits = KeywordTable().pack([SEEN, DRAFT])
    wide = widen(bits, 3)
    assert wide.shape == (2, 3)
    assert (wide[:, :1] == bits).all()
    assert not wide[:, 1:].any()
    assert widen(wide, 1) is wide
    assert wide.dtype == np.uint64
