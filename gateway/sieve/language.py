"""RFC 5228 §2, §3.2: as much of the Sieve language as it takes to add to somebody's script.

Scripts are octets: what is not looked at stays as it is, whatever its encoding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

# Groups are atomic, not possessive: as such, Python before 3.11.5 takes some of them for no match.
_TOKEN = re.compile(
    rb"(?P<blank>[ \t\r\n]++|\#[^\n]*+|/\*.*?\*/)"
    rb"|(?P<lines>text:[ \t]*+(?:\#[^\n]*+)?\r?\n(?>(?:(?!\.\r?\n)[^\n]*+\n)*)\.\r?\n)"
    rb'|(?P<quoted>"(?>(?:[^"\\]++|\\.)*)")'
    rb"|(?P<number>[0-9]++[KMG]?)"
    rb"|(?P<tag>:[A-Z_][A-Z0-9_]*+)"
    rb"|(?P<identifier>[A-Z_][A-Z0-9_]*+)"
    rb"|(?P<mark>[\[\](){},;])",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Unreadable(ValueError):
    """A script is not Sieve as far as it was read; `position` is the octet where that was noticed.

    A server that takes such a script knows the language better.
    """

    def __init__(self, position: int) -> None:
        super().__init__(f"not Sieve at octet {position}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Outline:
    """What a script does, as far as it matters to what is added to it.

    after_requires: the octet after the last `require` of those at its beginning. has_vacation:
    whether there is a vacation action in it (RFC 5230), under whatever conditions. includes: the
    user's other scripts it includes (RFC 6609 §3.2), by name.
    """

    after_requires: int
    has_vacation: bool
    includes: tuple[str, ...]


class _Token(NamedTuple):
    kind: str
    text: bytes
    end: int


def outline(script: bytes) -> Outline:
    """Read a script. Raises Unreadable."""
    after_requires, has_vacation = 0, False
    includes: list[str] = []
    at_beginning = True
    for command in _commands(script):
        name = command[0].text.lower()
        at_beginning = at_beginning and name == b"require"
        if at_beginning:
            after_requires = command[-1].end
        has_vacation |= name == b"vacation"
        if name == b"include" and not any(token.text.lower() == b":global" for token in command):
            includes += (_text(token.text) for token in command if token.kind == "quoted")
    return Outline(after_requires, has_vacation, tuple(includes))


def _commands(script: bytes) -> Iterator[list[_Token]]:
    """The tokens of each command, up to its semicolon or the brace that opens or closes a block."""
    command: list[_Token] = []
    for token in _tokens(script):
        if token.kind != "mark" or command:
            command.append(token)
        if token.text in (b";", b"{", b"}"):
            if command:
                yield command
            command = []
    if command:
        raise Unreadable(len(script))


def _tokens(script: bytes) -> Iterator[_Token]:
    position = 0
    while position < len(script):
        match = _TOKEN.match(script, position)
        if match is None:
            raise Unreadable(position)
        position = match.end()
        kind = match.lastgroup or ""
        if kind != "blank":
            yield _Token(kind, match[0], position)


def _text(quoted: bytes) -> str:
    return _ESCAPED.sub(rb"\1", quoted[1:-1]).decode("utf-8", "replace")


def quoted(value: str) -> str:
    """RFC 5228 §2.4.2: a quoted string, which may be of several lines. It has no NUL.

    Where the script requires "variables" (RFC 5229 §3) or "encoded-character" (§2.4.2.4), `${` in
    it may come to mean something.
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
