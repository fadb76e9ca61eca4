"""RFC 5804 §1.2, §4: the strings, atoms and lists of a line."""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.managesieve.errors import ProtocolError

MAX_NESTING = 16

_TOKEN = re.compile(
    rb'"(?P<quoted>(?>(?:[^"\\\r\n\0]++|\\["\\])*))"'
    rb"|\{(?P<size>[0-9]{1,10})\+?\}\r\n"
    rb'|(?P<atom>[^\x00-\x20\x7f-\xff(){"\\]++)'
    rb"|(?P<other>[() ])"
)
_ESCAPED = re.compile(rb"\\(.)")


class Atom(str):
    """An atom or number, as it was sent: names are compared by `upper()`."""

    __slots__ = ()


Item: TypeAlias = "bytes | Atom | tuple[Item, ...]"
"""A string is its octets; a tuple is what stands in parentheses."""
Line: TypeAlias = tuple[Item, ...]


def parse(octets: bytes) -> Line:
    """The items of a line without its CRLF, in which literals are complete.

    Raises ProtocolError for what is none.
    """
    open_lists: list[list[Item]] = [[]]
    position = 0
    while position < len(octets):
        match = _TOKEN.match(octets, position)
        if match is None:
            raise ProtocolError(f"not ManageSieve: {octets[position : position + 40]!r}")
        position = match.end()
        kind, text = match.lastgroup, match[0]
        if kind == "quoted":
            open_lists[-1].append(_ESCAPED.sub(rb"\1", match["quoted"]))
        elif kind == "size":
            size = int(match["size"])
            open_lists[-1].append(octets[position : position + size])
            position += size
        elif kind == "atom":
            open_lists[-1].append(Atom(text.decode("ascii")))
        elif text == b"(":
            if len(open_lists) > MAX_NESTING:
                raise ProtocolError("too many parentheses")
            open_lists.append([])
        elif text == b")":
            closed = tuple(open_lists.pop())
            if not open_lists:
                raise ProtocolError("a parenthesis that was not opened")
            open_lists[-1].append(closed)
    if len(open_lists) != 1:
        raise ProtocolError("a parenthesis that is not closed")
    return tuple(open_lists[0])
