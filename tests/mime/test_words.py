"""RFC 2047: encoded-words; RFC 8621 §4.1.2.2: the Text form."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import headers, words

pytestmark = pytest.mark.checklist("N08")


@pytest.mark.parametrize(
    ("encoded", "shown"),
    [  # RFC 2047 §8
        (b"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
        (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (
            b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
            b" =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
    ],
)
def test_the_examples_of_rfc_2047(encoded: bytes, shown: str) -> None:
    assert headers.text(encoded) == shown


@pytest.mark.parametrize(
    ("encoded", "shown"),
    [
        (b"=?utf-8?q?caf=c3=a9?=", "café"),
        (b"=?iso-8859-1*fr?Q?caf=E9?=", "café"),  # RFC 2231 §5
        (b"=?UTF-8?B?Y2Fmw6k?=", "café"),  # unpadded
        (b"=?UTF-8?B?4pyT4py?= =?UTF-8?B?kw==?=", "✓✓"),  # cut inside of a character
        (b"=?UTF-8?Q?=E2=9C?= =?UTF-8?Q?=93?=", "✓"),
        (b"=?GB2312?B?xOO6ww==?=", "你好"),
        (b"=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=", "日本語"),
        (b"=?UTF-8?Q?" + b"a" * 150 + b"?=", "a" * 150),  # over 75 characters
        (b"=?UTF-8?Q?really??=", "really?"),
        (b"=?UTF-8?Q??=", ""),
        (b"x =?UTF-8?Q??= y", "x  y"),
        (b"\r\n =?UTF-8?Q?folded?=\r\n text", "folded text"),
    ],
)
def test_words_as_senders_write_them(encoded: bytes, shown: str) -> None:
    assert headers.text(encoded) == shown


@pytest.mark.parametrize(
    "text",
    [
        "x=?UTF-8?Q?a?=",
        "=?UTF-8?Q?a?=y",
        "=?UTF-8?Q?a?==?UTF-8?Q?b?=",
        '"=?UTF-8?Q?a?="',
        "(=?UTF-8?Q?a?=)",
        "=?UTF-8?Q?a b?=",
        "=?x-nobody-knows?Q?caf=E9?=",
        "=?UTF-8?X?a?=",
        "=?UTF-8?B?###?=",
        "=?UTF-8?Q?abc",
        "=?=",
        "=??Q?a?=",
    ],
)
def test_what_violates_syntax_or_placement_is_not_decoded(text: str) -> None:
    assert headers.text(text.encode()) == text


def test_control_characters_from_words_are_dropped() -> None:
    assert headers.text(b"=?UTF-8?Q?a=00b=0D=0Ac=09d=7F?=") == "abcd"


def test_text_is_not_decoded_twice() -> None:
    assert headers.text(b"=?UTF-8?Q?=3D=3FUTF-8=3FQ=3Fx=3F=3D?=") == "=?UTF-8?Q?x?="


def test_8_bit_text_is_utf_8_or_windows_1252() -> None:
    assert headers.text("Grüße".encode()) == "Grüße"
    assert headers.text(b"Gr\xfc\xdfe") == "Grüße"
    assert headers.text("Grüße ".encode() + b"=?utf-8?q?=E2=82=AC?=") == "Grüße €"


def test_text_is_in_normalization_form_c() -> None:
    assert headers.text(b"=?utf-8?Q?e=CC=81?=") == "é"
    assert headers.text("e\u0301".encode()) == "é"
    # also across the end of a word
    assert headers.text(b"e =?utf-8?Q?=CC=81?=") == "e \u0301"


@given(st.binary(max_size=200))
def test_any_octets_become_text(octets: bytes) -> None:
    decoded = words.decode(octets)
    assert unicodedata.is_normalized("NFC", decoded)
    decoded.encode()


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn")), max_size=40))
def test_encoded_text_comes_back_wherever_it_was_cut(text: str) -> None:
    octets = text.encode()
    encoded = b" ".join(
        b"=?UTF-8?Q?" + b"".join(b"=%02X" % o for o in octets[i : i + 5]) + b"?="
        for i in range(0, len(octets), 5)
    )
    assert words.decode(encoded) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a (b(c)) d", b"a   d"),
        (b'a "(b)" (c', b'a "(b)" (c'),
        (b"(a\\)b)(c)", b"  "),
        (b'"not closed (a)', b'"not closed  '),
        (b"", b""),
    ],
)
def test_comments_are_left_out(value: bytes, left: bytes) -> None:
    """RFC 5322 §3.2.2: comments nest, and are none inside of quotes."""
    assert words.without_comments(value) == left
