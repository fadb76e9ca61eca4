"""RFC 2045 §5.1, RFC 2183, RFC 2231: MIME fields with parameters, as they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from string import ascii_letters, digits
from typing import Final

from gateway.mime.compose_field import Unwritable, checked, field

MAX_PARAMETER: Final = 4_096
"""Octets of the value of a parameter, at most."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]++")
_PLAIN = re.compile(r"[A-Za-z0-9+\-.^_]++")
_NAME = re.compile(r"[A-Za-z0-9!#$&+\-.^_`{|}~]{1,64}")
# Of the rest, quoted-pairs, and what looks like an encoding, not all readers take alike.
_QUOTABLE = re.compile(r"[ !#$&-)+-\[\]-~]*+")
# RFC 2231 §7: attribute-char.
_AS_IS = frozenset((ascii_letters + digits + "!#$&+-.^_`{|}~").encode())
_PERCENT = tuple(chr(octet) if octet in _AS_IS else f"%{octet:02X}" for octet in range(256))
# Characters of a value on one line, so that it can be folded at 78.
_MAX_PIECE = 50
_NOT_ASCII_NAME = re.compile(r"[^A-Za-z0-9 !#$&'()+,\-.@^_{}~]")


def token(value: str) -> str:
    """`value` if it is a token. Raises Unwritable."""
    if not _TOKEN.fullmatch(value):
        raise Unwritable("It is no token (RFC 2045 §5.1).")
    return value


def parameterized(name: str, value: str, parameters: Mapping[str, str]) -> bytes:
    """A field such as Content-Type: a value and its parameters. Raises Unwritable."""
    words = [f" {value}", *(w for item in parameters.items() for w in _parameter(*item))]
    return field(name, [f"{word};".encode("ascii") for word in words[:-1]] + [words[-1].encode()])


def _parameter(name: str, value: str) -> Iterator[str]:
    """A parameter as readers of any age understand it, in pieces if it is long."""
    if not _NAME.fullmatch(name):
        raise Unwritable(f"There can be no parameter {name!r}.")
    value = checked(value).replace("\t", " ").strip(" ")  # as it would be read
    if len(value.encode()) > MAX_PARAMETER:
        raise Unwritable(f"It has more than {MAX_PARAMETER} octets.")
    room = max(_MAX_PIECE, 70 - len(name))
    if _PLAIN.fullmatch(value) and len(value) <= room:
        yield f" {name}={value}"
    elif _QUOTABLE.fullmatch(value) and "=?" not in value and len(value) <= room:
        yield f' {name}="{value}"'
    else:
        yield from _extended(name, value)


def _extended(name: str, value: str) -> Iterator[str]:
    """RFC 2231 §3, §4: percent-encoded UTF-8, in pieces that each are whole characters."""
    pieces = [""]
    for character in value:
        encoded = "".join(_PERCENT[octet] for octet in character.encode())
        if len(pieces[-1]) + len(encoded) > _MAX_PIECE:
            pieces.append("")
        pieces[-1] += encoded
    if len(pieces) == 1:
        yield f" {name}*=utf-8''{pieces[0]}"
        return
    for number, piece in enumerate(pieces):
        charset = "" if number else "utf-8''"
        yield f" {name}*{number}*={charset}{piece}"


def fallback(name: str) -> str:
    """A file name for readers that know nothing of RFC 2231: as much of it as ASCII has.

    At most as long as one line takes; what is after the last dot is kept.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = _NOT_ASCII_NAME.sub("_", plain).strip(" ") or "_"
    if len(plain) <= _MAX_PIECE:
        return plain
    stem, dot, extension = plain.rpartition(".")
    if not dot or len(extension) > 10:
        return plain[:_MAX_PIECE].strip(" ")
    return f"{stem[: _MAX_PIECE - 1 - len(extension)].strip(' ')}.{extension}"
