"""RFC 2045 §6, RFC 2046 §4.1: the text of a body part, as it is written."""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

import pybase64

from gateway.mime.compose_field import GOOD_LINE

_PRINTABLE = bytes((*b"\t\r\n", *range(0x20, 0x7F)))
_FROM_LINE = re.compile(rb"^From ", re.MULTILINE)


class Encoded(NamedTuple):
    """Octets in a Content-Transfer-Encoding."""

    encoding: str
    octets: bytes


def encode(value: str) -> Encoded:
    """Text in UTF-8 with CRLF for each line end, in the encoding that shows most of it.

    7bit if all of it is certain to arrive so, else the shorter of quoted-printable and base64.
    """
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    octets = value.replace("\n", "\r\n").encode()
    if _is_safe(octets):
        return Encoded("7bit", octets)
    quoted = _quoted_printable(octets)
    if len(quoted) * 3 <= len(octets) * 4 + 300:
        return Encoded("quoted-printable", quoted)
    return Encoded("base64", base64_lines(octets))


def _is_safe(octets: bytes) -> bool:
    """Whether lines arrive as they are.

    Better encoded is what is not printable; white space at the end of a line, which is lost on the
    way; lines that mail stores and servers take for their own; long ones.
    """
    if octets.translate(None, _PRINTABLE):
        return False
    framed = b"\r\n%b\r\n" % octets
    if any(piece in framed for piece in (b" \r\n", b"\t\r\n", b"\nFrom ", b"\n.\r\n")):
        return False
    return max(map(len, octets.split(b"\r\n"))) <= GOOD_LINE


def _quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 §6.7. The C function ends soft lines as the text ends its first line."""
    quoted = binascii.b2a_qp(octets.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    # Not "=46rom ", which may make the line too long.
    return _FROM_LINE.sub(b"=46ro=\r\nm ", quoted)


def base64_lines(octets: bytes) -> bytes:
    """RFC 2045 §6.8: lines of 76 characters, each with its CRLF."""
    return pybase64.encodebytes(octets).replace(b"\n", b"\r\n")
