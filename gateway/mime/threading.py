"""RFC 5256 §2.1 and §3: what decides to which thread a message belongs, from its raw header.

This runs for each message of an account that is indexed, hence on octets and without a parser
wherever the octets are plain.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.mime import brackets, headers
from gateway.mime.basesubject import base_subject
from gateway.mime.limits import MAX_VALUE_OCTETS

_FIELD_END = re.compile(rb"\n(?![ \t])|\Z")
_FIRST_ID = re.compile(rb"\s*+<([^<>()\s]++)>")
# A subject of ASCII words in lower case, of which only leaders "re: ", "fwd: " and "[list] " are
# to be taken; what is left is not empty.
_PLAIN_SUBJECT = re.compile(
    rb"[ \t]*+(?>(?:\[[!-Z\\^-~]*+\] *+|(?:re|fwd?): )*)(?!(?:re|fwd?)[: \[])"
    rb"([!-Z\\-~]++(?>(?: [!-Z\\-~]++)*))[ \t]*+"
)


def thread_root(block: bytes) -> tuple[bytes, bytes]:
    """The Message-ID a thread starts with, without brackets, and the base subject.

    The root is the first msg-id of References, else of In-Reply-To, else of Message-ID, else b"".
    The base subject is UTF-8 in folded case, as RFC 5256 compares without regard to case.
    `block` is a header with at least these fields and Subject; the last instance of a field
    counts (RFC 8621 §4.1.3).
    """
    lowered = b"\n" + block.lower()
    value = _value(block, lowered.rfind(b"\nsubject:"), 8)
    base = _remembered(value) if len(value) <= _MAX_REMEMBERED else _base_subject(value)
    return _root(block, lowered), base


def field_values(block: bytes, names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The raw value of each field in `names` (lower case), b"" where there is none.

    The last instance of a field counts (RFC 8621 §4.1.3). Fields with white space before the
    colon, which nothing has sent for decades (RFC 5322 §4.5), are not found.
    """
    lowered = b"\n" + block.lower()
    return tuple(_value(block, lowered.rfind(b"\n%s:" % name), len(name) + 1) for name in names)


def _value(block: bytes, position: int, skip: int) -> bytes:
    """The value of the field that starts at `position`, -1 where there is none."""
    if position < 0:
        return b""
    start = position + skip
    end = block.find(b"\n", start)
    if block[end + 1 : end + 2] in (b" ", b"\t"):
        match = _FIELD_END.search(block, start)
        end = match.start() if match else -1
    value = block[start : end if end >= 0 else len(block)].removesuffix(b"\r")
    return value[:MAX_VALUE_OCTETS] if len(value) > MAX_VALUE_OCTETS else value


def _root(block: bytes, lowered: bytes) -> bytes:
    for name in (b"\nreferences:", b"\nin-reply-to:", b"\nmessage-id:"):
        position = lowered.rfind(name)
        if position < 0:
            continue
        match = _FIRST_ID.match(block, position + len(name) - 1)
        if match:
            return match[1]
        value = _value(block, position, len(name) - 1)
        found = brackets.items(value)
        if found:
            return found[0]
        if name == b"\nmessage-id:":
            # Without brackets it is no msg-id, but it still tells this message from others.
            return b"".join(value.split())
    return b""


def _base_subject(value: bytes) -> bytes:
    """The base subject of a raw Subject."""
    lowered = value.lower()
    plain = _PLAIN_SUBJECT.fullmatch(lowered)
    if plain and b"=?" not in lowered and not plain[1].endswith(b"(fwd)"):
        return plain[1]
    return base_subject(headers.text(value)).casefold().encode()


_MAX_REMEMBERED = 512
# Neighbours in a mailbox often have the same subject.
_remembered = lru_cache(maxsize=4096)(_base_subject)
