"""RFC 2045 §6: Content-Transfer-Encoding, decoded whole and as it comes."""

from __future__ import annotations

import base64
import binascii
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
        st.sampled_from([b"begin 644 a", b"end", b"#86)C\n"]),
        st.binary(max_size=4),
    ),
    max_size=24,
)


@given(_PIECES, st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit", "x-other"]))
def test_pieces_decode_to_the_same_octets_as_the_whole(pieces: list[bytes], name: str) -> None:
    decoder = transfer.decoder(name)
    decoded = b"".join([*map(decoder.feed, pieces), decoder.finish()])
    assert (decoded, decoder.problem) == transfer.decode(b"".join(pieces), name)


@pytest.mark.checklist("J10")
def test_what_fills_up_the_last_group_of_uuencode_is_not_looked_at() -> None:
    """POSIX uuencode: a line tells how many octets it has; some programs leave others behind."""
    decoded, problem = transfer.decode(b"begin 644 a\n!8XYZ\n`\nend\n", "x-uuencode")
    assert (decoded, problem) == (b"c", False)


_NAMES = ["base64", "quoted-printable", "x-uuencode", "8bit", "x-unknown"]


@given(_PIECES, st.sampled_from(_NAMES), st.data())
def test_a_decoder_goes_on_from_what_another_one_held(
    pieces: list[bytes], name: str, data: st.DataObject
) -> None:
    """RFC 9110 §14: a range need not be decoded from the start."""
    at = data.draw(st.integers(0, len(pieces)))
    first, second = transfer.decoder(name), transfer.decoder(name)
    decoded = b"".join(map(first.feed, pieces[:at]))
    held = first.held
    if held is None:
        return
    assert second.feed(held) == b""
    decoded += b"".join([*map(second.feed, pieces[at:]), second.finish()])
    assert decoded == transfer.decode(b"".join(pieces), name)[0]


_LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"", b" ", b"\r", b"\t\r\n"])


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 9), _LINE_ENDS), max_size=30))
def test_base64_may_be_broken_into_any_lines(octets: bytes, lines: list[tuple[int, bytes]]) -> None:
    """RFC 2045 §6.8: line breaks and white space are not part of it."""
    encoded, broken = base64.b64encode(octets), []
    for length, end in lines:
        broken += [encoded[:length], end]
        encoded = encoded[length:]
    assert transfer.decode(b"".join([*broken, encoded]), "base64") == (octets, False)


@given(st.lists(st.sampled_from([b"QUJD", b"QQ", b"*", b"=", b"\r\n", b"\n", b"\0", b"/"])))
def test_well_formed_base64_is_decoded_as_any_other(pieces: list[bytes]) -> None:
    """RFC 2045 §6.8: the quick way and the tolerant one agree."""
    octets = b"".join(pieces)
    tolerant = transfer.decoder("base64")
    # A run of white space that no line end has keeps it from the quick way.
    decoded = tolerant.feed(b"\t" * 9 + octets) + tolerant.finish()
    assert (decoded, tolerant.problem) == transfer.decode(octets, "base64")


@given(st.lists(st.sampled_from([b"=", b"=3D", b"=\r\n", b"=\n", b"\r", b"\n", b"x", b"==", b"4"])))
def test_well_formed_quoted_printable_is_decoded_as_any_other(pieces: list[bytes]) -> None:
    """RFC 2045 §6.7: the quick way and the tolerant one agree."""
    octets = b"".join(pieces)
    # White space before a line end is removed, and keeps it from the quick way.
    decoded, problem = transfer.decode(b"y \n" + octets, "quoted-printable")
    assert (decoded.removeprefix(b"y\n"), problem) == transfer.decode(octets, "quoted-printable")


@pytest.mark.parametrize("cut", [1, 2, 3, 60, 61, 62, 63])
def test_soft_breaks_across_pieces(cut: int) -> None:
    """RFC 2045 §6.7: an escape or soft line break may be cut anywhere."""
    octets = "Grüße = =\tund mehr, ".encode() * 40
    encoded = quopri.encodestring(octets).replace(b"\n", b"\r\n")
    decoder = transfer.decoder("quoted-printable")
    pieces = [encoded[at : at + cut] for at in range(0, len(encoded), cut)]
    assert b"".join([*map(decoder.feed, pieces), decoder.finish()]) == octets
    assert not decoder.problem


def uuencoded(octets: bytes, end: bytes = b"\n") -> bytes:
    lines = [binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45)]
    return b"".join(
        line.rstrip(b"\n") + end for line in (b"begin 644 a file", *lines, b"`", b"end")
    )


@pytest.mark.checklist("J10")
@given(
    st.binary(max_size=300),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from(["x-uuencode", "X-UUE", "uuencode"]),
    st.sampled_from([b"", b"\r\n\r\n"]),
)
def test_uuencoded_octets_come_back(octets: bytes, end: bytes, name: str, before: bytes) -> None:
    """RFC 8621 §4.1.4: any known encoding; POSIX uuencode is met in mail, standard or not."""
    encoded = before + uuencoded(octets, end) + b"-- \r\nThe signature of a list."
    assert transfer.decode(encoded, name) == (octets, False)
    stripped = b"\n".join(line.rstrip() for line in encoded.split(b"\n"))
    assert transfer.decode(stripped, name)[0] == octets


@pytest.mark.parametrize(
    ("octets", "decoded"),
    [
        (b"no such thing", b"no such thing"),
        (b"\r\n begin", b"\r\n begin"),
        (b" " * 5000 + b"begin 644 a\n`\nend\n", b" " * 5000 + b"begin 644 a\n`\nend\n"),
        (b"begin 644 a\n#86)C\n", b"abc"),  # no end
        (b"begin 644 a\n#86\x80C\n`\nend\n", b"a`#"),  # not its alphabet
        (b"begin 644 a\n\r=\n`\nend\n", b""),  # nor is that a number
    ],
)
def test_malformed_uuencode_is_told(octets: bytes, decoded: bytes) -> None:
    """RFC 8621 §4.1.4: what is not uuencoded at all stays as it is."""
    found, problem = transfer.decode(octets, "x-uuencode")
    assert problem
    assert found == decoded


def test_blank_uuencoded_content_is_none() -> None:
    """RFC 8621 §4.1.4: there is nothing to decode, nor to complain of."""
    assert transfer.decode(b"\r\n\r\n", "x-uuencode") == (b"\r\n\r\n", False)


@pytest.mark.parametrize("octets", [b" " * 100_000, b"begin 644 " + b"x" * 100_000, b"M" * 100_000])
@pytest.mark.parametrize("name", _NAMES)
def test_a_decoder_keeps_no_lines_however_long(octets: bytes, name: str) -> None:
    """Threat R20: what is held back of them is little, or looked at once."""
    decoder = transfer.decoder(name)
    for at in range(0, len(octets), 100):
        decoder.feed(octets[at : at + 100])
        assert decoder.held is None or len(decoder.held) <= 256
    decoder.finish()


@pytest.mark.parametrize("name", ["base64", "Quoted-Printable", "x-uuencode"])
def test_identity_is_told(name: str) -> None:
    """RFC 2045 §6.2: what changes no octets, as that of unknown encodings (RFC 8621 §4.1.4)."""
    assert not transfer.is_identity(name)
    assert all(map(transfer.is_identity, (None, "", "7BIT", "8bit", "binary", "x-rot13")))
