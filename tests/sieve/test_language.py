"""RFC 5228: what is found in a script."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sieve.language import Outline, Unreadable, outline, quoted


@pytest.mark.parametrize(
    ("script", "requires"),
    [
        (b"", b""),
        (b"keep;", b""),
        (b'require "fileinto";', b'require "fileinto";'),
        (b'REQUIRE["a" , "b"] ;keep;', b'REQUIRE["a" , "b"] ;'),
        (
            b'# vacation\r\n/* require "x"; */ require "a"; # b\r\nrequire ["c"];\r\nkeep;\r\n',
            b'# vacation\r\n/* require "x"; */ require "a"; # b\r\nrequire ["c"];',
        ),
        (b'require "a;\\"b";keep;require "c";', b'require "a;\\"b";'),
    ],
)
def test_the_end_of_the_requires(script: bytes, requires: bytes) -> None:
    assert outline(script).after_requires == len(requires)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b'vacation "away";', True),
        (b'require "vacation"; if true { Vacation :days 7 "away"; }', True),
        (b"if true { keep; } else { vacation text:\r\naway\r\n.\r\n; }", True),
        (b'require "vacation";', False),
        (b'# vacation "x";\r\n/* vacation "x"; */ keep;', False),
        (b'fileinto "a; vacation b;";', False),
        (b'reject text:\nvacation "x";\n..\nvacation;\n.\n;', False),
        (b'if header "vacation" ["vacation"] { keep; }', False),
        (b'set "vacation" "x"; addflag :vacation "x";', False),
    ],
)
def test_vacation_actions(script: bytes, expected: bool) -> None:
    assert outline(script).has_vacation == expected


def test_includes() -> None:
    script = (
        b'require "include"; include "a"; include :personal :once "b \\"c\\""; '
        b'include :global "d"; if true { include :OPTIONAL "\xc3\xa9"; } # include "e";\n'
    )
    assert outline(script).includes == ("a", 'b "c"', "é")


@pytest.mark.parametrize(
    "script",
    [
        b'"',
        b"/* keep;",
        b"keep",
        b"keep; \xff",
        b"text:\r\nno end",
        b"if true {} keep",
        b":",
        b"\0",
    ],
)
def test_what_is_not_sieve(script: bytes) -> None:
    with pytest.raises(Unreadable):
        outline(script)


@given(st.binary(max_size=60) | st.text('rqe"\\;{}[]#/*:.\r\n ').map(str.encode))
def test_any_octets_are_read_or_refused(script: bytes) -> None:
    with suppress(Unreadable):
        assert 0 <= outline(script).after_requires <= len(script)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_quoted_string_is_one_string(value: str) -> None:
    script = b"include %b;" % quoted(value).encode()
    assert outline(script) == Outline(0, False, (value,))


def test_a_large_script_is_read_in_one_pass() -> None:
    script = (
        b'require "x";\r\n' + b'fileinto "' + b"a" * 200_000 + b'";\r\n' + b"keep;\r\n" * 50_000
    )
    assert outline(script).after_requires == len('require "x";')
