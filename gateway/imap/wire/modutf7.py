"""RFC 3501 §5.1.3: mailbox names in modified UTF-7.

The wire name of a mailbox is kept next to its decoded name: decoding is tolerant, so encoding the
result need not give the server's spelling back.
"""

from __future__ import annotations

import binascii
import re

_SHIFTED = re.compile(rb"&([^-&]*+)-")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]++|&")


def encode(name: str) -> bytes:
    """The wire name. Raises ValueError on NUL and lone surrogates, which no name can have."""
    if "\0" in name:
        raise ValueError("a mailbox name can not contain NUL")
    return _UNPRINTABLE.sub(_shift, name).encode("ascii")


def decode(wire: bytes) -> str:
    """The name a server meant. Never raises.

    What is not valid modified UTF-7 is taken as UTF-8 (RFC 6855) where it has octets above 127, and
    stays as it is otherwise.
    """
    try:
        text = wire.decode("ascii")
    except UnicodeDecodeError:
        return wire.decode("utf-8", "replace")
    if "&" not in text:
        return text
    parts: list[str] = []
    last = 0
    for match in _SHIFTED.finditer(wire):
        parts.append(text[last : match.start()])
        parts.append(_unshift(match[1]) if match[1] else "&")
        last = match.end()
    parts.append(text[last:])
    return "".join(parts)


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    base64 = binascii.b2a_base64(match[0].encode("utf-16-be"), newline=False)
    return "&" + base64.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def _unshift(base64: bytes) -> str:
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return "&" + base64.decode("ascii") + "-"
