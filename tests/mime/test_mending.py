"""RFC 8621 §4.8: what may be wrong with the octets of a message, and what is made of them."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.mending import MAX_HEADER_OCTETS, TEXT_OCTETS, Inspection, Mender

_CUTS = st.lists(st.integers(0, 60), max_size=6)
_OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"a", b":", b"\xe4"])).map(b"".join)


def mended(*chunks: bytes) -> bytes:
    mender = Mender()
    return b"".join(map(mender.feed, chunks))


def inspected(*chunks: bytes) -> Inspection:
    inspection = Inspection()
    for chunk in chunks:
        inspection.feed(chunk)
    return inspection


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", b""),
        (b"a: b\r\n\r\nc\r\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\n\nc", b"a: b\r\n\r\nc"),
        (b"a: b\r\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b"a\0: b\r\n\0\0", b"a: b\r\n"),
        (b"a\r\0\n", b"a\r\n"),
        (b"a\rb\r\r\n", b"a\rb\r\r\n"),
        (b"\xe4\xff\x01\n", b"\xe4\xff\x01\r\n"),
    ],
)
@pytest.mark.checklist("R05")
def test_lines_end_with_crlf_and_nothing_is_nul(octets: bytes, expected: bytes) -> None:
    assert mended(octets) == expected


@given(_OCTETS, _CUTS)
def test_how_octets_are_cut_makes_no_difference(octets: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(octets)]
    chunks = [octets[a:b] for a, b in pairwise(edges)]
    whole, cut = inspected(octets), inspected(*chunks)
    assert mended(*chunks) == mended(octets)
    assert (cut.size, cut.header, cut.text) == (whole.size, whole.header, whole.text)
    assert cut.defect() == whole.defect()


@given(_OCTETS)
def test_a_message_is_mended_once_and_for_all(octets: bytes) -> None:
    once = mended(octets)
    assert mended(once) == once
    assert b"\0" not in once
    assert not re.search(rb"(?<!\r)\n", once)
    # Nothing but line ends and NUL octets is touched.
    assert once.replace(b"\r\n", b"\n") == octets.replace(b"\0", b"").replace(b"\r\n", b"\n")
    inspection = inspected(octets)
    assert inspection.size == len(once)
    assert inspection.header + inspection.text == once


def test_the_beginning_of_a_large_message_is_kept() -> None:
    header = b"Subject: x\r\n\r\n"
    inspection = inspected(header, b"y" * (TEXT_OCTETS + 1), b"z" * MAX_HEADER_OCTETS)
    assert inspection.header == header
    assert inspection.text == b"y" * TEXT_OCTETS
    endless = inspected(*[b"x: " + b"y" * (1 << 16)] * 20)
    assert len(endless.header) == MAX_HEADER_OCTETS


@pytest.mark.parametrize(
    ("octets", "is_message"),
    [
        (b"Subject: x\r\n\r\n", True),
        (b"Subject: x", True),
        (b"X:\n\nbody", True),
        ("Subject: \u00e4\r\n\r\n".encode(), True),
        (b"Subject: \xe4\r\n\r\n", True),
        (b"From someone@example.test Mon Jan  1 00:00:00 2024\r\nSubject: x\r\n\r\n", True),
        (b"", False),
        (b"\0", False),
        (b"\r\nSubject: x\r\n\r\n", False),
        (b"just some text\r\nand more\r\n", False),
        (b"%PDF-1.7\n\x00\x01\x02", False),
    ],
)
def test_a_message_has_a_header_field(octets: bytes, is_message: bool) -> None:
    assert (inspected(octets).defect() is None) is is_message


@pytest.mark.parametrize("cut", range(0, 90, 7))
def test_what_is_encoded_as_binary_keeps_its_nul_octets_or_is_refused(cut: int) -> None:
    """RFC 2045 §2.9."""
    header = b"Subject: x\r\nContent-Type: image/png\r\nContent-transfer-ENCODING: Binary\r\n\r\n"
    octets = header + b"\x89PNG\0\0"
    assert inspected(octets[:cut], octets[cut:]).defect() is not None
    text = header + b"no such octet\r\n"
    assert inspected(text[:cut], text[cut:]).defect() is None
    quoted = b"Subject: x\r\n\r\n> Content-Transfer-Encoding: binary\r\n\0"
    assert inspected(quoted[:cut], quoted[cut:]).defect() is None
