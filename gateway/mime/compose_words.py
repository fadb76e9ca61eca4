"""RFC 2047: text in any script as the words of a header field."""

from __future__ import annotations

import base64
import re
from string import ascii_letters, digits

from gateway.mime import compose_field
from gateway.mime.compose_field import MAX_WORD

_MAX_ENCODED_WORD = 75
# The shortest that is worth while on the line of a long name.
_MIN_ROOM = 36
_FRAME = len("=?utf-8?Q??=")
_PLAIN = re.compile(r"[!-~]+(?:[ \t]+[!-~]+)*")
_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_ATOMS = re.compile(rf"{_ATOM}(?: {_ATOM})*")
_SPECIAL_IN_QUOTES = re.compile(r'["\\]')
# RFC 2047 §5(3): what an encoded-word in a phrase may have; in text it may have more.
_AS_IS = frozenset((ascii_letters + digits + "!*+-/").encode())
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
    """
    octets = value.encode()
    in_q = sum(len(_Q[octet]) for octet in octets) <= (len(octets) + 2) // 3 * 4
    room = (room if room >= _MIN_ROOM else _MAX_ENCODED_WORD) - _FRAME
    found: list[bytes] = []
    start = 0
    size = 0
    for index, character in enumerate(value):
        taken = character.encode()
        grown = size + (sum(len(_Q[octet]) for octet in taken) if in_q else len(taken))
        if (grown if in_q else (grown + 2) // 3 * 4) > room:
            found.append(_encoded_word(value[start:index], in_q))
            room = _MAX_ENCODED_WORD - _FRAME
            start, grown = index, grown - size
        size = grown
    found.append(_encoded_word(value[start:], in_q))
    return found


def _encoded_word(value: str, in_q: bool) -> bytes:
    if in_q:
        return f" =?utf-8?Q?{''.join(_Q[octet] for octet in value.encode())}?=".encode("ascii")
    return b" =?utf-8?B?" + base64.b64encode(value.encode()) + b"?="
