"""RFC 5322 §2.1.1, §2.2.3: header fields as they are written, folded into lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.mime import charset
from gateway.mime.limits import MAX_VALUE_OCTETS

MAX_LINE: Final = 998
"""Octets of a line without its CRLF, at most."""
GOOD_LINE: Final = 78
"""Octets of a line where it can be folded."""
MAX_WORD: Final = 900
"""Octets of what is not folded, so that there is room for a name and for what stands around it."""

# After a name that is longer, the value begins on a line of its own where the first is too short.
_LONG_NAME = 40
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_WORD = re.compile(r"[ \t]*+[^ \t]++")


class Unwritable(ValueError):
    """A value that no header field can have; the text says why, as clients are to be told."""


def checked(text: str) -> str:
    """`text` if it can stand in a header.

    Raises Unwritable for NUL, CR, LF and all other control characters but TAB, which would end a
    field or be dropped by readers, and for code points that JSON must not have (RFC 7493 §2.1).
    """
    if _CONTROL.search(text):
        raise Unwritable("Control characters (NUL, CR, LF) can not stand in a header.")
    if charset.sendable(text) != text:
        raise Unwritable("Noncharacters of Unicode can not stand in a header.")
    return text


def words(text: str) -> list[bytes]:
    """`text` in pieces, each with the white space before it, at which a line may be folded.

    White space at the end stays with the last piece.
    """
    pieces = _WORD.findall(text)
    if not pieces:
        return [text.encode()] if text else []
    pieces[-1] += text[sum(map(len, pieces)) :]
    return [piece.encode() for piece in pieces]


def field(name: str, pieces: Iterable[bytes]) -> bytes:
    """A field with its CRLF. The pieces that begin with white space may begin a line.

    Raises Unwritable if it takes a line of more than MAX_LINE octets, or is itself longer than
    what is read of a field.
    """
    line = f"{name}:".encode("ascii")
    limit = GOOD_LINE if len(line) > _LONG_NAME else MAX_LINE
    lines = []
    for piece in pieces:
        if piece[:1] in (b" ", b"\t") and len(line) + len(piece) > limit:
            lines.append(line)
            line = b""
        line += piece
        limit = GOOD_LINE
    lines.append(line)
    if any(len(line) > MAX_LINE for line in lines):
        raise Unwritable(f"It has more than {MAX_LINE} octets that can not be folded.")
    written = b"\r\n".join((*lines, b""))
    if len(written) - len(name) > MAX_VALUE_OCTETS:
        raise Unwritable(f"It takes more than {MAX_VALUE_OCTETS} octets.")
    return written
