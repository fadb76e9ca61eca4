"""RFC 8621 §3: what decides to which thread a message belongs, from its raw header.

That is its root, by RFC 5256 §3, and its subject: nothing but the message, so that it comes out
the same whatever else is known, and in whatever order mail is read.

This runs for each message of an account that is indexed, hence on octets and without a parser
wherever the octets are plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from gateway.mime import brackets, headers
from gateway.mime.limits import MAX_VALUE_OCTETS
from gateway.mime.threadsubject import LEADERS, thread_subject

_FOLD = b" \t"
_FIELD_END = re.compile(rb"\n(?![ \t])|\Z")
_FIRST_ID = re.compile(rb"\s*+<([^<>()\s]++)>")
_PRINTABLE = bytes(range(0x20, 0x7F))
_LEADER = b"|".join(word.encode() for word in LEADERS)
# What precedes most subjects: leaders, as mail programs write them, and tags of lists.
_LEADERS = re.compile(rb"(?>(?:(?:%b): |\[[^][]*+\] )*)" % _LEADER)
# What may still be a leader, in one of the ways that RFC 5256 lets it be written.
_UNCLEAR = re.compile(rb"\[|(?:%b) ?[:[]" % _LEADER)


def thread_seeds(blocks: Iterable[bytes]) -> list[bytes]:
    """What identifies the thread of each message: its root and its subject (see thread_root).

    b"" for a message that names no message. Messages of one thread have equal seeds.
    """
    seeds = []
    first_id, remembered = _FIRST_ID.match, _remembered
    for block in blocks:
        # Nearly all are so: fields spelled as usual, a subject of one line that is not long.
        references, subject = block.rfind(b"\nReferences:"), block.rfind(b"\nSubject:")
        if references >= 0 <= subject:
            match, start = first_id(block, references + 12), subject + 9
            end = block.find(b"\n", start)
            if match and start < end < start + _MAX_REMEMBERED and block[end + 1] not in _FOLD:
                seeds.append(b"%b\0%b" % (match[1], remembered(block[start:end])))
                continue
        root, subject_ = thread_root(block)
        seeds.append(b"%b\0%b" % (root, subject_) if root else b"")
    return seeds


def thread_root(block: bytes) -> tuple[bytes, bytes]:
    """The Message-ID a thread starts with, without brackets, and its thread_subject in UTF-8.

    The root is the first msg-id of References, else of In-Reply-To, else of Message-ID, else b"".
    `block` is a header with at least these fields and Subject; the last instance of a field
    counts (RFC 8621 §4.1.3), of those that are spelled as usual if there are any.
    """
    lowered = b"\n" + block.lower()
    references = block.rfind(b"\nReferences:") + 1 or lowered.rfind(b"\nreferences:")
    subject = block.rfind(b"\nSubject:") + 1 or lowered.rfind(b"\nsubject:")
    value = _value(block, subject, 8)
    compared = _remembered(value) if len(value) <= _MAX_REMEMBERED else _thread_subject(value)
    return _root(block, lowered, references), compared


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
    if 0 <= end < len(block) - 1 and block[end + 1] in _FOLD:
        match = _FIELD_END.search(block, start)
        end = match.start() if match else -1
    value = block[start : end if end >= 0 else len(block)].removesuffix(b"\r")
    return value[:MAX_VALUE_OCTETS] if len(value) > MAX_VALUE_OCTETS else value


def _root(block: bytes, lowered: bytes, references: int) -> bytes:
    for name in (b"\nreferences:", b"\nin-reply-to:", b"\nmessage-id:"):
        position = references if name == b"\nreferences:" else lowered.rfind(name)
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


def _thread_subject(value: bytes) -> bytes:
    """The thread_subject of a raw Subject, in UTF-8."""
    plain = _plain_thread_subject(value.strip(b" \t\r\n").lower())
    return thread_subject(headers.text(value)).encode() if plain is None else plain


def _plain_thread_subject(subject: bytes) -> bytes | None:
    """The same of one line of ASCII in lower case with leaders "re: " and "[list] "; else None."""
    if subject.translate(None, _PRINTABLE) or b"=?" in subject or b"  " in subject:
        return None
    leaders = _LEADERS.match(subject)
    subject = subject[leaders.end() :] if leaders else subject
    if _UNCLEAR.match(subject) or subject.endswith(b"(fwd)") or b"was" in subject:
        return None
    return subject.replace(b" ", b"")


_MAX_REMEMBERED = 512
# Neighbours in a mailbox often have the same subject.
_remembered = lru_cache(maxsize=4096)(_thread_subject)
