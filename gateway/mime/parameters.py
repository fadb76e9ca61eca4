"""RFC 2045 §5.1, RFC 2231: the parameters of MIME header fields.

Values come decoded whichever way the sender chose, also by encoded-words in quotes, which RFC
2047 forbids there and many senders use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from gateway.mime import charset, words
from gateway.mime.limits import MAX_PARAMETERS, MAX_VALUE_OCTETS

_SECTION = re.compile(r"([^*]++)(?:\*(\d{1,4}))?(\*)?")
_PARAMETER = re.compile(
    rb";\s*+([^\s=;\"()<>]++)\s*+=\s*+"
    rb'(?:"((?>(?:[^"\\]++|\\.)*))"?+|([^\s;"()]*+))',
    re.DOTALL,
)
_COMMENT = re.compile(rb"\([^()]*+\)")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def from_list(pairs: object) -> dict[str, str]:
    """RFC 9051 §7.5.2 body-fld-param: attribute and value in turn, or NIL.

    Names come in lower case; of a parameter that is given twice the first counts. What is not a
    list of octets is no parameter.
    """
    if not isinstance(pairs, Sequence) or isinstance(pairs, (bytes, str)):
        return {}
    given = (
        (attribute, value)
        for attribute, value in zip(pairs[::2], pairs[1::2], strict=False)
        if isinstance(attribute, bytes) and isinstance(value, bytes)
    )
    return _collect(given)


def parse(value: bytes) -> tuple[str, dict[str, str]]:
    """A raw field value (Content-Type, Content-Disposition) as its token and its parameters.

    The token is in lower case, "" if there is none.
    """
    unfolded = words.unfold(value[:MAX_VALUE_OCTETS])
    token, semicolon, rest = unfolded.partition(b";")
    token = b"".join(_COMMENT.sub(b"", token).split()).lower()
    given = (
        (match[1], match[3] if match[2] is None else _QUOTED_PAIR.sub(rb"\1", match[2]))
        for match in _PARAMETER.finditer(semicolon + rest)
    )
    return words.plain(token), _collect(given)


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
    return words.without_controls(words.decode(value).strip())


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
