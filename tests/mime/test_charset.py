"""RFC 8621 §4.1.4, RFC 2978: octets in a charset become text that JSON can carry."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import charset


@pytest.mark.parametrize(
    ("octets", "name", "text"),
    [
        (b"plain", None, "plain"),
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"\xef\xbb\xbfbom", "UTF-8", "bom"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),  # windows-1252 in all but name
        ("中国㐀".encode("gb18030"), "gb2312", "中国㐀"),
        ("안녕".encode("cp949"), "ks_c_5601-1987", "안녕"),
        ("똠".encode("cp949"), "euc-kr", "똠"),  # only in the superset
        ("①".encode("cp932"), "Shift_JIS", "①"),
        ("日本".encode("cp932"), "x-sjis", "日本"),
        ("日本語".encode("iso2022_jp"), "ISO-2022-JP", "日本語"),
        (b"\x1b$B-!\x1b(B", "iso-2022-jp", "①"),  # NEC row 13, which the standard lacks
        ("שלום".encode("iso8859_8"), "iso-8859-8-i", "שלום"),
        (b"Hi Mom +Jjo--+ACE", "unicode-1-1-utf-7", "Hi Mom ☺-!"),
        ("hi".encode("utf-16"), "utf-16", "hi"),
        ("hi".encode("utf-16-be"), "utf-16be", "hi"),
        (b"h\x00i\x00", "utf-16", "hi"),
        ("Привет".encode("koi8_r"), '"KOI8-R"', "Привет"),
        ("ไทย".encode("cp874"), "tis-620", "ไทย"),
        ("香港".encode("big5hkscs"), "big5", "香港"),
        (b"\x80", "windows-1252", "€"),
    ],
)
def test_text_in_a_known_charset_is_decoded(octets: bytes, name: str | None, text: str) -> None:
    assert charset.decode(octets, name) == (text, False)


@pytest.mark.checklist("N20")
@pytest.mark.parametrize(
    ("octets", "name", "text"),
    [
        (b"a\xffb", "utf-8", "a\ufffdb"),
        (b"caf\xe9", None, "café"),  # nothing says what it is: windows-1252
        (b"caf\xe9", "us-ascii", "café"),
        (b"plain", "x-nobody-knows", "plain"),
        (b"caf\xc3\xa9", "unknown-8bit", "café"),
        ("Ä Ö Ü".encode() + b"\xc3", None, "Ä Ö Ü\ufffd"),  # UTF-8 that was cut stays UTF-8
        (b"+2AA-", "utf-7", "\ufffd"),  # a lone surrogate
        ("a\ufdd0\uffffb".encode(), "utf-8", "a\ufffd\ufffdb"),  # non-characters
        (b"\x1b$B\x22", "iso-2022-jp", ""),
        ("日本".encode(), "iso-2022-jp", "日本"),  # mislabelled
        ("日本".encode("euc_jp"), "iso-2022-jp", "日本"),
    ],
)
def test_what_can_not_be_decoded_is_replaced_and_told(
    octets: bytes, name: str | None, text: str
) -> None:
    assert charset.decode(octets, name) == (text, True)


@pytest.mark.parametrize("name", [None, "us-ascii"])
def test_utf_8_that_is_not_declared_is_no_problem(name: str | None) -> None:
    assert charset.decode("naïve".encode(), name) == ("naïve", False)


@pytest.mark.parametrize("name", ["base64", "rot13", "punycode", "unicode_escape", "idna", "zlib"])
def test_codecs_that_are_no_charsets_are_unknown(name: str) -> None:
    assert not charset.is_known(name)
    assert charset.decode(b"eJw=", name) == ("eJw=", True)


def test_a_character_cut_off_at_the_end_is_left_out_when_more_follows() -> None:
    octets = "né".encode()
    assert charset.decode(octets[:-1], "utf-8", final=False) == ("n", False)
    assert charset.decode(octets[:-1], None, final=False) == ("n", False)
    assert charset.decode("日".encode("cp932")[:1], "sjis", final=False) == ("", False)


@pytest.mark.checklist("A06")
@given(
    st.binary(max_size=200),
    st.sampled_from([None, "utf-8", "utf-7", "utf-16", "iso-2022-jp", "gb2312", "hz", "x"]),
    st.booleans(),
)
def test_any_octets_become_text_that_json_carries(
    octets: bytes, name: str | None, final: bool
) -> None:
    text, _ = charset.decode(octets, name, final=final)
    assert orjson.loads(orjson.dumps(text)) == text
    assert not any(0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE for c in text)


def test_code_points_that_json_must_not_have_are_replaced() -> None:
    """RFC 7493 §2.1: surrogates and non-characters, and nothing else."""
    every = list(map(chr, range(0x110000)))
    forbidden = {*range(0xD800, 0xE000), *range(0xFDD0, 0xFDF0)}
    forbidden |= {end - one for end in range(0x10000, 0x120000, 0x10000) for one in (1, 2)}
    expected = ["\ufffd" if ord(character) in forbidden else character for character in every]
    assert charset.sendable("".join(every)) == "".join(expected)
    assert all(charset.sendable(chr(code)) == "\ufffd" for code in forbidden)
