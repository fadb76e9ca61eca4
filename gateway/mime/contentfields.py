"""RFC 2045 §5-7, RFC 2183, RFC 3282, RFC 2557: values of Content-* fields as a Part has them.

The values come from a header or, taken apart, from BODYSTRUCTURE (RFC 9051 §7.5.2).
"""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.mime import words

MESSAGE_TYPES = frozenset({"message/rfc822", "message/global"})
"""RFC 2046 §5.2.1, RFC 6532 §3.7: the types of messages that are parts."""

_TOKEN = rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]++'
_MEDIA_TYPE = re.compile(rb"(" + _TOKEN + rb"/" + _TOKEN + rb")(?:/|\Z)")


def text(value: bytes) -> str:
    """A value as text, without line ends and the white space around it."""
    return _word(value) if len(value) <= _SHORT else _text(value)


def _text(value: bytes) -> str:
    return words.plain(words.unfold(value)).strip()


# Types, encodings and dispositions are the same few words in nearly all messages.
_SHORT = 32
_word = lru_cache(maxsize=1024)(_text)


def media_type(token: bytes) -> str | None:
    """RFC 2045 §5.1: type and subtype in lower case, None where they are not both there."""
    match = _MEDIA_TYPE.match(token)
    return words.plain(match[1]) if match else None


def encoding(value: bytes) -> str:
    """RFC 2045 §6.1: a Content-Transfer-Encoding in lower case, without what is behind it."""
    first = value.lower().partition(b";")[0].partition(b"(")[0]
    name = text(b"".join(first.split()).strip(b'"')) or "7bit"
    return "quoted-printable" if name == "quotedprintable" else name


def cid(value: bytes) -> str | None:
    """RFC 2392: a Content-ID without its brackets."""
    return text(value).strip("<> \t") or None


def languages(value: bytes) -> tuple[str, ...] | None:
    """RFC 3282 §2: the tags of a Content-Language."""
    tags = (text(tag) for tag in words.without_comments(value).split(b","))
    return tuple(tag for tag in tags if tag) or None


def location(value: bytes) -> str | None:
    """RFC 2557 §4.2: a URI, without the white space it was folded at (RFC 2017 §3.1)."""
    return "".join(text(value).split()) or None
