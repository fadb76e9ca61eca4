"""RFC 5322, RFC 2045, RFC 2047, RFC 2231: how what is composed stands in the message."""

from __future__ import annotations

import base64
import quopri
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import (
    compose_address,
    compose_field,
    compose_forms,
    compose_parameters,
    compose_text,
    compose_words,
    header_property,
    parameters,
)
from gateway.mime.compose_enclosed import Encoder, Encoding, Measure
from gateway.mime.compose_field import Unwritable
from gateway.mime.transfer import decode


def written(name: str, value: Any) -> bytes:
    """The field of a property named `header:...`."""
    known = header_property.parse(name)
    assert known is not None
    return compose_forms.write(name.split(":")[1], known.form, value)


def lines(octets: bytes) -> list[bytes]:
    assert octets.endswith(b"\r\n")
    return octets[:-2].split(b"\r\n")


# --- RFC 5322 §2.1.1, §2.2.3: lines --------------------------------------------------------------


@given(st.lists(st.text("abc=é", min_size=1, max_size=60), min_size=1, max_size=40))
def test_text_is_folded_at_78(words: list[str]) -> None:
    """RFC 2047 §2: at 76 where there are encoded-words."""
    found = lines(written("header:Subject:asText", " ".join(words)))
    limit = 76 if b"=?" in b"".join(found) else 78
    assert all(len(line) <= limit for line in found)
    assert all(line.startswith(b" ") and line.strip() for line in found[1:])


def test_what_has_no_white_space_is_not_folded_up_to_998_octets() -> None:
    assert lines(written("header:X-A:asText", "x" * 300)) == [b"X-A: " + b"x" * 300]
    assert lines(written("header:X-A:asMessageIds", ["x" * 300, "y"])) == [
        b"X-A: <" + b"x" * 300 + b">",
        b" <y>",
    ]
    assert all(len(line) <= 76 for line in lines(written("header:X-A:asText", "x" * 2_000)))
    with pytest.raises(Unwritable):
        written("header:X-A:asMessageIds", ["x" * 1_000])


def test_raw_values_stay_as_they_are_while_a_line_can_hold_them() -> None:
    """RFC 8621 §4.1.2.1: the raw octets."""
    value = " " + "word " * 190
    assert written("header:X-A", value) == b"X-A:" + value.encode() + b"\r\n"
    folded = written("header:X-A", value * 2)
    assert folded.replace(b"\r\n", b"") == b"X-A:" + value.encode() * 2
    assert len(lines(folded)[0]) <= 78
    assert written("header:X-A", "é") == "X-A:é\r\n".encode()
    assert written("header:X-A", "") == b"X-A:\r\n"


def test_a_long_name_has_its_value_on_the_next_line() -> None:
    name = "X-" + "n" * 60
    found = lines(written(f"header:{name}:asText", "größer als Platz ist"))
    assert found[0] == name.encode() + b":"
    assert found[1].startswith(b" =?utf-8?Q?gr=C3=B6=C3=9Fer_")


# --- RFC 2047: words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Jane Doe", b" Jane Doe <a@b.c>"),
        ("Doe, Jane", b' "Doe, Jane" <a@b.c>'),
        ("J. Doe", b' "J. Doe" <a@b.c>'),
        ('Jane "J" \\ Doe', b' "Jane \\"J\\" \\\\ Doe" <a@b.c>'),
        ("Jané, Doe", b" =?utf-8?Q?Jan=C3=A9=2C_Doe?= <a@b.c>"),
        ("日本", b" =?utf-8?B?5pel5pys?= <a@b.c>"),
        ("=?utf-8?Q?x?=", b" =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <a@b.c>"),
        ("", b" a@b.c"),
        ("  ", b" a@b.c"),
        (None, b" a@b.c"),
    ],
)
def test_display_names(name: str | None, shown: bytes) -> None:
    """RFC 2047 §5: an encoded-word is never within quotes, and never next to anything."""
    assert b"".join(compose_address.addresses([{"name": name, "email": "a@b.c"}])) == shown


def test_no_character_is_cut_in_two() -> None:
    """RFC 2047 §5: each encoded-word is whole characters."""
    for text in ("é" * 200, "日本語" * 50, "a𝒳" * 60):
        found = compose_words.encoded(text, 75)
        parts = []
        for word in found:
            match = re.fullmatch(rb" =\?utf-8\?([BQ])\?([^?]*)\?=", word)
            assert match is not None
            assert len(word) <= 76
            is_b = match[1] == b"B"
            octets = base64.b64decode(match[2]) if is_b else quopri.decodestring(match[2])
            parts.append(octets.decode())
        assert "".join(parts) == text


# --- RFC 5322 §3.4, RFC 6532: addresses ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "email", "shown"),
    [
        (None, "用户@例え.jp", " 用户@例え.jp"),
        ("A", "用户@例え.jp", " A <用户@例え.jp>"),
        (None, '"john doe"@x.org', ' <"john doe"@x.org>'),
        (None, "a@[192.0.2.1]", " <a@[192.0.2.1]>"),
        (None, "a..b.@docomo.ne.jp", " <a..b.@docomo.ne.jp>"),
        (None, "bob", " bob"),
        ("Bob", "bob@", " Bob <bob@>"),
        ("Bob", "", " Bob <>"),
        (None, "x@y.org>, <evil@z.org", ' "x@y.org>, <evil@z.org"'),
        ("Bob", "x@y.org, evil@z.org", ' "Bob <x@y.org, evil@z.org>"'),
        (None, "a@x.org, b@x.org", ' "a@x.org, b@x.org"'),
        (None, "", ""),
    ],
)
def test_addresses_and_what_is_none_yet(name: str | None, email: str, shown: str) -> None:
    """RFC 8621 §4.6: a draft may have it; nothing in it becomes another address."""
    found = compose_address.addresses([{"name": name, "email": email}])
    assert b"".join(found).decode() == shown


def test_groups() -> None:
    """RFC 5322 §3.4."""
    a, b = {"name": None, "email": "a@x.org"}, {"name": "B", "email": "b@x.org"}
    groups = [
        {"name": None, "addresses": [a]},
        {"name": "Friends", "addresses": [a, b]},
        {"name": "Équipe", "addresses": []},
        {"name": "", "addresses": [b]},
    ]
    assert b"".join(compose_address.groups(groups)) == (
        b' a@x.org, Friends: a@x.org, B <b@x.org>;, =?utf-8?Q?=C3=89quipe?= :;, "": B <b@x.org>;'
    )


@given(st.datetimes(datetime(1900, 1, 2), datetime(2199, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_dates(moment: datetime, minutes: int) -> None:
    """RFC 5322 §3.3: with the offset they came with."""
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    shown = written("header:Date:asDate", aware.isoformat())
    assert re.fullmatch(rb"Date: \w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n", shown)
    assert datetime.strptime(shown[6:-2].decode(), "%a, %d %b %Y %H:%M:%S %z") == aware


@pytest.mark.parametrize("value", ["2020-01-01", "2020-02-30T00:00:00Z", "2020-01-01T00:00:61Z", 5])
def test_what_is_no_date(value: Any) -> None:
    with pytest.raises(Unwritable):
        written("header:Date:asDate", value)


def test_fractions_and_leap_seconds() -> None:
    shown = written("header:Date:asDate", "2016-12-31t23:59:60.5z")
    assert shown == b"Date: Sat, 31 Dec 2016 23:59:59 +0000\r\n"


# --- RFC 2231: parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("report.pdf", b"filename=report.pdf"),
        ("a b.pdf", b'filename="a b.pdf"'),
        ("a;b=c.pdf", b'filename="a;b=c.pdf"'),
        ('a"b.pdf', b"filename*=utf-8''a%22b.pdf"),
        ("é.pdf", b"filename*=utf-8''%C3%A9.pdf"),
        ("=?utf-8?Q?x?=", b"filename*=utf-8''%3D%3Futf-8%3FQ%3Fx%3F%3D"),
    ],
)
def test_parameters(value: str, shown: bytes) -> None:
    field = compose_parameters.parameterized("X", "inline", {"filename": value})
    assert field == b"X: inline; " + shown + b"\r\n"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=400))
def test_parameters_are_read_as_they_were(value: str) -> None:
    """RFC 2231 §3: in pieces where they are long."""
    field = compose_parameters.parameterized("Content-Disposition", "inline", {"filename": value})
    assert all(len(line) <= 78 for line in lines(field))
    _, found = parameters.parse(field.partition(b":")[2])
    assert found["filename"] == value.strip()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("résumé.pdf", "resume.pdf"),
        ("日本語.txt", "___.txt"),
        ("x" * 100 + ".docx", "x" * 45 + ".docx"),
        ("日本", "__"),
        ('a"b\\c', "a_b_c"),
    ],
)
def test_old_readers_have_a_name_too(name: str, shown: str) -> None:
    """They know nothing of RFC 2231, and show the `name` of the type."""
    assert compose_parameters.fallback(name) == shown


# --- RFC 2045 §6: bodies -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "encoding", "octets"),
    [
        ("plain\ntext", "7bit", b"plain\r\ntext"),
        ("", "7bit", b""),
        ("a\rb\nc\r\nd", "7bit", b"a\r\nb\r\nc\r\nd"),
        ("soft \nbreak", "quoted-printable", b"soft=20\r\nbreak"),
        ("-- \nme", "quoted-printable", b"--=20\r\nme"),
        ("end ", "quoted-printable", b"end=20"),
        ("From me", "quoted-printable", b"=46ro=\r\nm me"),
        ("\n.\n", "quoted-printable", b"\r\n=2E\r\n"),
        ("na\0ught", "quoted-printable", b"na=00ught"),
        ("né", "quoted-printable", b"n=C3=A9"),
        ("日本語" * 60, "base64", None),
    ],
)
def test_encodings_of_text(value: str, encoding: str, octets: bytes | None) -> None:
    """RFC 3676 §4.2, §4.4: what transport would change is encoded."""
    found = compose_text.encode(value)
    assert found.encoding == encoding
    assert octets in (None, found.octets)


_TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            ("From ", "\n", "\r", " ", "\t", ".", "=", "x" * 90, "é", "\0", "From " * 20)
        ),
        st.text(max_size=10).filter(lambda text: "\ud800" not in text),
    ),
    max_size=30,
).map("".join)


@given(_TEXT)
def test_text_arrives_as_it_was(value: str) -> None:
    """RFC 2045 §6.7, §6.8: lines of 76, no white space at the end of one."""
    found = compose_text.encode(value)
    decoded, problem = decode(found.octets, found.encoding)
    assert not problem
    assert decoded.decode() == re.sub("\r\n?|\n", "\r\n", value)
    limit = 78 if found.encoding == "7bit" else 76
    for line in found.octets.split(b"\r\n"):
        assert len(line) <= limit
        assert not line.startswith(b"From ")
        assert line != b"."
        assert not line.endswith((b" ", b"\t"))
        assert b"\r" not in line
        assert b"\n" not in line


# --- RFC 2045 §6.8: octets from elsewhere --------------------------------------------------------


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from(Encoding))
def test_the_length_is_known_before(chunks: list[bytes], encoding: Encoding) -> None:
    """However the octets are cut, which are the same afterwards."""
    measure = Measure()
    for chunk in chunks:
        measure.feed(chunk)
    octets = b"".join(chunks)
    if encoding is not Encoding.BASE64 and measure.encoding() is None:
        return
    encoder = Encoder(encoding)
    encoded = b"".join([*map(encoder.feed, chunks), encoder.finish()])
    assert len(encoded) == measure.encoded_size(encoding)
    if encoding is Encoding.BASE64:
        assert encoded == base64.encodebytes(octets).replace(b"\n", b"\r\n")
    else:
        assert encoded == re.sub(rb"(?<!\r)\n", b"\r\n", octets)


_LINE = st.sampled_from((b"a", b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"x" * 499, b"y" * 499))


@given(st.lists(_LINE, max_size=8), st.integers(1, 300))
def test_what_can_be_left_as_it_is(pieces: list[bytes], size: int) -> None:
    """RFC 2045 §2.7, §2.8: neither NUL, nor CR alone, nor lines of more than 998 octets."""
    octets = b"".join(pieces)
    measure = Measure()
    for at in range(0, len(octets), size):
        measure.feed(octets[at : at + size])
    mended = re.sub(rb"(?<!\r)\n", b"\r\n", octets)
    binary = (
        b"\0" in octets
        or re.search(rb"\r(?!\n)", mended)
        or max(map(len, mended.split(b"\r\n"))) > 998
    )
    expected = Encoding.SEVEN_BIT if octets.isascii() else Encoding.EIGHT_BIT
    assert measure.encoding() is (None if binary else expected)
    assert measure.size == len(octets)


def test_noncharacters_are_refused() -> None:
    """RFC 7493 §2.1: they could not be shown again."""
    with pytest.raises(Unwritable):
        compose_field.checked("\ufffe")


def test_raw_values_are_unfolded_and_nothing_else_ends_a_line() -> None:
    """RFC 5322 §2.2.3: as they are when they were read from another message."""
    assert written("header:X-A", " one\r\n two\r\n\tthree") == b"X-A: one two\tthree\r\n"
    for value in (" a\r\nBcc: b", " a\r\n\r\n b", " a\n b", " a\r b", " a\r\n"):
        with pytest.raises(Unwritable):
            written("header:X-A", value)
