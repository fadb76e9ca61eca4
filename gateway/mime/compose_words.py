"""RFC 2047: text in any script as the words of a header field."""

from __future__ import annotations

import base64
import re
from string import ascii_letters, digits

from gateway.mime import compose_field
from gateway.mime.compose_field import MAX_WORD, Unwritable
from gateway.mime.limits import MAX_VALUE_OCTETS

_MAX_ENCODED_WORD = 75
# The shortest that is worth while on the line of a long name.
_MIN_ROOM = 36
_FRAME = len("=?utf-8?Q??=")
_PLAIN = re.compile(r"[!-~]++(?>(?:[ \t]++[!-~]++)*)")
_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++"
_ATOMS = re.compile(rf"{_ATOM}(?>(?: {_ATOM})*)")
_SPECIAL_IN_QUOTES = re.compile(r'["\\]')
# RFC 2047 §5(3): what an encoded-word in a phrase may have; in text it may have more.
_AS_IS = (ascii_letters + digits + "!*+-/").encode()
_Q = tuple(chr(o) if o in _AS_IS else "_" if o == 0x20 else f"={o:02X}" for o in range(256))


def text(value: str, *, name: str = "") -> list[bytes]:
    """RFC 5322 §2.2.1 unstructured text, which begins right after the colon of the field `name`.

    What RFC 8621 §4.1.2.2 would read otherwise than it is meant is encoded: other characters than
    those of ASCII, white space at an end, and what looks like an encoded-word.
    """
    if not value or _is_plain(value, _PLAIN):
        return compose_field.words(f" {value}") if value else []
    # Encoded control characters are not read (RFC 8621 §4.1.2.2), and TAB is one.
    return encoded(value.replace("\t", " "), _MAX_ENCODED_WORD - len(name) - 1)


def phrase(value: str) -> list[bytes]:
    """RFC 5322 §3.2.5: a display-name, as atoms, quoted or encoded."""
    value = value.strip(" \t")
    if _is_plain(value, _ATOMS):
        return compose_field.words(f" {value}")
    if not value or _is_plain(value, _PLAIN):
        quoted = _SPECIAL_IN_QUOTES.sub(r"\\\g<0>", value)
        return compose_field.words(f' "{quoted}"')
    return encoded(value.replace("\t", " "), _MAX_ENCODED_WORD)


def _is_plain(value: str, pattern: re.Pattern[str]) -> bool:
    if not pattern.fullmatch(value) or "=?" in value:
        return False
    return len(value) <= MAX_WORD or max(map(len, value.split())) <= MAX_WORD


def encoded(value: str, room: int) -> list[bytes]:
    """`value` as encoded-words of UTF-8, each after a space.

    In the encoding that is shorter; no character is cut in two. `room`: octets of the first.
    Raises Unwritable if that is longer than any field can be.
    """
    octets = value.encode()
    size_in_q = len(octets) + 2 * len(octets.translate(None, _AS_IS + b" "))
    size_in_b = (len(octets) + 2) // 3 * 4
    if min(size_in_q, size_in_b) > MAX_VALUE_OCTETS:
        raise Unwritable(f"It takes more than {MAX_VALUE_OCTETS} octets.")
    take, encode = (_take_q, _in_q) if size_in_q <= size_in_b else (_take_b, _in_b)
    room = (room if room >= _MIN_ROOM else _MAX_ENCODED_WORD) - _FRAME
    found: list[bytes] = []
    start = 0
    while start < len(octets):
        end = take(octets, start, room)
        while end < len(octets) and octets[end] & 0xC0 == 0x80:  # inside of a character
            end -= 1
        found.append(encode(octets[start:end]))
        start, room = end, _MAX_ENCODED_WORD - _FRAME
    return found


def _take_b(octets: bytes, start: int, room: int) -> int:
    return min(start + room // 4 * 3, len(octets))


def _take_q(octets: bytes, start: int, room: int) -> int:
    for end in range(start, min(start + room, len(octets))):
        room -= len(_Q[octets[end]])
        if room < 0:
            return end
    return min(end + 1, len(octets))


def _in_b(octets: bytes) -> bytes:
    return b" =?utf-8?B?" + base64.b64encode(octets) + b"?="


def _in_q(octets: bytes) -> bytes:
    return b" =?utf-8?Q?" + "".join(map(_Q.__getitem__, octets)).encode("ascii") + b"?="
