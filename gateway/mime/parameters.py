"""RFC 2045 §5.1, RFC 2231: the parameters of MIME header fields.

Values come decoded whichever way the sender chose, also by encoded-words in quotes or stuck to
other text, which RFC 2047 §5 forbids and many senders write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from gateway.mime import charset, words
from gateway.mime.limits import MAX_PARAMETERS, MAX_VALUE_OCTETS

_SECTION = re.compile(r"([^*]++)(?:\*(\d{1,4}))?(\*)?")

# What nearly all senders write: a token, then parameters each after a semicolon.
_ORDINARY_TOKEN = re.compile(rb'\s*+([^\s;,"()<>=]++)\s*+(?=;|\Z)')
_ORDINARY = re.compile(
    rb';\s*+([^\s=;,"()<>]++)=(?:"([^"\\]*+)"|(?!=\?)([^\s;"()\\]++))\s*+(?=;|\Z)|;\s*+\Z'
)

_SEPARATORS = re.compile(rb"[\s;,]++")
_ATTRIBUTE = re.compile(rb'([^\s=;"()<>]++)\s*+=\s*+')
_QUOTED = re.compile(rb'"((?>(?:[^"\\]++|\\.)*))"', re.DOTALL)
_WORD = re.compile(rb"[^\s;(]++|\(")
_SPACE = re.compile(rb"\s++")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def from_list(pairs: object) -> Mapping[str, str]:
    """RFC 9051 §7.5.2 body-fld-param: attribute and value in turn, or NIL.

    Names come in lower case; of a parameter that is given twice the first counts. What is not a
    list of octets is no parameter.
    """
    if not isinstance(pairs, Sequence) or isinstance(pairs, (bytes, str)):
        return {}
    given = tuple(
        (attribute, value)
        for attribute, value in zip(pairs[::2], pairs[1::2], strict=False)
        if isinstance(attribute, bytes) and isinstance(value, bytes)
    )
    # Most parts have one parameter, a charset, and there are few of these.
    return _only(given) if len(given) == 1 and len(given[0][1]) <= _SHORT else _collect(given)


def split(value: bytes) -> tuple[bytes, list[bytes]]:
    """A raw field value (Content-Type, Content-Disposition) as its token and its parameters.

    The token is in lower case without white space, b"" if there is none. The parameters are in
    the form that `from_list` takes; values are without quotes, not decoded. Read are also values
    with spaces that are not quoted, parameters without the semicolon between them, quotes that
    are not closed; comments are left out.
    """
    unfolded = words.unfold(value[:MAX_VALUE_OCTETS])
    match = first = _ORDINARY_TOKEN.match(unfolded)
    pairs: list[bytes] = []
    while match and match.end() < len(unfolded):
        match = _ORDINARY.match(unfolded, match.end())
        if match and match[1]:
            pairs += (match[1], match[3] if match[2] is None else match[2])
    if first and match:
        return first[1].lower(), pairs
    return _Tolerant(unfolded).read()


def parse(value: bytes) -> tuple[str, Mapping[str, str]]:
    """A raw field value as its token and its decoded parameters, see `split` and `from_list`."""
    token, pairs = split(value)
    return words.plain(token), from_list(pairs)


def octets(pairs: Sequence[bytes], name: bytes) -> bytes | None:
    """The value of a parameter as it is in `pairs`, None if it is not there.

    RFC 2231 §3: it may be given in sections, which count in the order of their numbers.
    """
    sections: dict[int, bytes] = {}
    for attribute, value in zip(pairs[::2], pairs[1::2], strict=False):
        attribute = attribute.lower()
        if attribute == name:
            return value
        number = attribute.removeprefix(name + b"*")
        if number != attribute and number.isdigit() and len(number) < 5:
            sections.setdefault(int(number), value)
    return b"".join(sections[number] for number in sorted(sections)) if sections else None


class _Tolerant:
    """One pass over a field value; each octet is looked at a fixed number of times."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._position = 0
        # Once a comment was found not to end, none does.
        self._comments_end = True

    def read(self) -> tuple[bytes, list[bytes]]:
        self._skip(_SPACE)
        token = b"" if _ATTRIBUTE.match(self._value, self._position) else self._unquoted()
        token = b"".join(words.without_comments(token).split()).strip(b'"').lower()
        pairs: list[bytes] = []
        while self._position < len(self._value) and len(pairs) < 2 * MAX_PARAMETERS:
            self._skip(_SEPARATORS)
            match = _ATTRIBUTE.match(self._value, self._position)
            if match is None:
                self._unquoted()  # no parameter
                continue
            self._position = match.end()
            pairs += (match[1], self._parameter_value())
        return token, pairs

    def _parameter_value(self) -> bytes:
        match = _QUOTED.match(self._value, self._position)
        if match is None:
            return self._unquoted().removeprefix(b'"')
        self._position = match.end()
        return _QUOTED_PAIR.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]

    def _unquoted(self) -> bytes:
        """Words up to a semicolon or the next parameter, without the comments around them."""
        value = self._value
        begin = start = end = self._position
        while self._position < len(value):
            self._skip(_SPACE)
            at = self._position
            if value.startswith(b";", at) or (at > begin and _ATTRIBUTE.match(value, at)):
                break
            match = words.ENCODED_WORD.match(value, at) or _WORD.match(value, at)
            if match is None:
                break
            self._position = match.end()
            if match[0] == b"(" and (after := self._comment_end(at)):
                self._position = after
                if end == start:
                    start = end = after
                continue  # a part of the value if more of it follows
            end = match.end()
        return value[start:end].strip()

    def _comment_end(self, start: int) -> int | None:
        if not self._comments_end:
            return None
        end = words.comment_end(self._value, start)
        self._comments_end = end is not None
        return end

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        match = pattern.match(self._value, self._position)
        if match is not None:
            self._position = match.end()


def _collect(given: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, bytes]]] = {}
    for count, (attribute, value) in enumerate(given):
        if count == MAX_PARAMETERS:
            break
        name = words.plain(attribute).strip().lower()
        if "*" in name and (match := _SECTION.fullmatch(name)):
            section = (match[3] is not None, value)
            sections.setdefault(match[1], {}).setdefault(int(match[2] or 0), section)
        else:
            parameters.setdefault(name, _decode_plain(value))
    for name, found in sections.items():
        # RFC 2231 §4: the extended form is the better one where both are given.
        parameters[name] = _decode_extended([found[index] for index in sorted(found)])
    return parameters


def _decode_plain(value: bytes) -> str:
    value = words.unfold(value[:MAX_VALUE_OCTETS])
    return words.without_controls(words.decode(value, anywhere=True).strip())


def _decode_extended(sections: list[tuple[bool, bytes]]) -> str:
    """RFC 2231 §3-4: sections in order, each percent-encoded or not; the first names the charset.

    Octets are joined before they are decoded, as a character may be cut in two.
    """
    name: bytes = b""
    octets = []
    for index, (encoded, value) in enumerate(sections):
        if encoded:
            if index == 0 and value.count(b"'") >= 2:
                name, _, value = value.split(b"'", 2)
            value = unquote_to_bytes(value)
        octets.append(value)
    joined = b"".join(octets)[:MAX_VALUE_OCTETS]
    if not any(encoded for encoded, _ in sections):
        return _decode_plain(joined)
    text, _ = charset.decode(joined, words.plain(name))
    return words.without_controls(text).strip()


_SHORT = 32
_only: Callable[[tuple[tuple[bytes, bytes], ...]], Mapping[str, str]]
_only = lru_cache(maxsize=1024)(_collect)
