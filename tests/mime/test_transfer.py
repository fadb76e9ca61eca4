"""RFC 2045 §6: Content-Transfer-Encoding, decoded whole and as it comes."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import transfer


@pytest.mark.parametrize(
    ("octets", "encoding", "decoded"),
    [
        (b"as it is\r\n", "7bit", b"as it is\r\n"),
        (b"\xff\x00", "binary", b"\xff\x00"),
        (b"caf\xe9", " 8BIT ", b"caf\xe9"),
        (b"text", None, b"text"),
        (b"aGVs\r\nbG8=\r\n", "base64", b"hello"),
        (b"aGVsbG8", "BASE64", b"hello"),  # unpadded
        (b"aGVsbG8=", "base64;", b"hello"),
        (b"aGVsbG8=", "base64 (as of RFC 2045)", b"hello"),
        (b"a=3Db", "quoted-printable", b"a=b"),
        (b"a=3db=c3=A9", "Quoted-Printable", b"a=b\xc3\xa9"),
        (b"soft=\r\nbreak= \t\r\nagain=\nhard\r\n", "quoted-printable", b"softbreakagainhard\r\n"),
        (b"trailing \t\r\nspace  ", "quoted-printable", b"trailing\r\nspace"),
        (b"the end=", "quoted-printable", b"the end"),
    ],
)
def test_well_formed_content_is_decoded(
    octets: bytes, encoding: str | None, decoded: bytes
) -> None:
    assert transfer.decode(octets, encoding) == (decoded, False)


@pytest.mark.checklist("N20")
@pytest.mark.parametrize(
    ("octets", "encoding", "decoded"),
    [
        (b"aGV*sbG8=", "base64", b"hello"),
        (b"aGVsbG8=aGVsbG8=", "base64", b"hellohello"),
        (b"aGVsbG8=!", "base64", b"hello"),
        (b"aGVsb", "base64", b"hel"),
        (b"100 = =ZZ =", "quoted-printable", b"100 = =ZZ "),
        (b"==41", "quoted-printable", b"=A"),
        (b"a\rb=\rc", "quoted-printable", b"a\rb=\rc"),
        (b"anything", "x-rot13", b"anything"),
    ],
)
def test_malformed_content_is_decoded_as_well_as_it_can_be_and_told(
    octets: bytes, encoding: str, decoded: bytes
) -> None:
    assert transfer.decode(octets, encoding) == (decoded, True)


def test_octets_that_end_early_give_what_is_certain() -> None:
    assert transfer.decode(b"aGVsbG", "base64", final=False) == (b"hel", False)
    assert transfer.decode(b"caf=C3=A", "quoted-printable", final=False) == (b"caf\xc3", False)


@given(st.binary(max_size=300))
def test_what_was_encoded_comes_back(octets: bytes) -> None:
    assert transfer.decode(base64.encodebytes(octets), "base64") == (octets, False)
    encoded = quopri.encodestring(octets.replace(b"\r", b""))
    decoded, problem = transfer.decode(encoded, "quoted-printable")
    assert (decoded, problem) == (octets.replace(b"\r", b""), False)


_PIECES = st.lists(
    st.one_of(
        st.sampled_from([b"=", b"==", b"=3D", b"=4", b" ", b"\r\n", b"\n", b"\r", b"QUJD", b"QQ"]),
        st.binary(max_size=4),
    ),
    max_size=24,
)


@given(_PIECES, st.sampled_from(["base64", "quoted-printable", "8bit", "x-unknown"]))
def test_pieces_decode_to_the_same_octets_as_the_whole(pieces: list[bytes], name: str) -> None:
    decoder = transfer.decoder(name)
    decoded = b"".join([*map(decoder.feed, pieces), decoder.finish()])
    assert (decoded, decoder.problem) == transfer.decode(b"".join(pieces), name)


@pytest.mark.checklist("J10")
def test_what_fills_up_the_last_group_of_uuencode_is_not_looked_at() -> None:
    """POSIX uuencode: a line tells how many octets it has; some programs leave others behind."""
    decoded, problem = transfer.decode(b"begin 644 a\n!8XYZ\n`\nend\n", "x-uuencode")
    assert (decoded, problem) == (b"c", False)
