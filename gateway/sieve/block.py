"""RFC 8621 §8: the marked lines of a script that answer mail, with the values they were made from.

    # jmap-gateway vacation: begin. ...
    #= eyJmcm9tRGF0ZSI6bnVsbCwi...          the values: JSON in base64
    require ["vacation"];
    vacation "I am away.";
    include :personal :optional "main";     where the block is a script of its own
    # jmap-gateway vacation: end 8d969eef6ecad3c29a3a629280e686cf

The digest at the end is of the lines between, so that it is noticed if a person has changed them;
line ends do not count, since editors change them. Such a block can stand after the `require`s of
any script: its own ones follow them at once (RFC 5228 §3.2).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.sieve.language import outline, quoted
from gateway.sieve.vacation import MARK, Vacation, action, required

_BEGIN = f"{MARK} begin. A JMAP client sets this; what is changed by hand will be lost."
_END = f"{MARK} end"
_VALUES = "#= "
_WIDTH = 72  # characters of values on a line
# Each is looked for once, from where the one before it ends: others may have written the script.
_BEGINNING = re.compile(rb"(?:\r?\n)?^%b begin[^\n]*\n" % re.escape(MARK).encode(), re.MULTILINE)
_CODED = re.compile(rb"(?>(?:#=[^\n]*+\n)+)")
_ENDING = re.compile(
    rb"^%b end ?(?P<digest>[0-9a-f]*+)[^\n]*+(?:\n|\Z)" % re.escape(MARK).encode(), re.MULTILINE
)
_PROPERTIES = {
    "fromDate": "from_date",
    "toDate": "to_date",
    "subject": "subject",
    "textBody": "text_body",
    "htmlBody": "html_body",
}
_ADDRESSES = "addresses"
_SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class Block:
    """What a block was made from.

    vacation: without whether it is enabled, which no block knows. script: the user's script that
    it includes. altered: whether its text is no longer what was made from that.
    """

    vacation: Vacation
    script: str | None
    altered: bool


class _Found(NamedTuple):
    """What may be a block: octets [start, end) of a script."""

    start: int
    end: int
    values: bytes
    commands: bytes
    digest: bytes


def _found(content: bytes) -> Iterator[_Found]:
    """All that may be a block, in order."""
    position = 0
    while (begin := _BEGINNING.search(content, position)) is not None:
        position = begin.end()
        if (coded := _CODED.match(content, position)) is None:
            continue
        if (end := _ENDING.search(content, coded.end())) is None:
            return
        position = end.end()
        commands = content[coded.end() : end.start()]
        yield _Found(begin.start(), position, coded[0], commands, end["digest"])


def write(vacation: Vacation, script: str | None) -> bytes:
    """A block, which includes the script of that name (RFC 6609) unless it is None.

    Raises what `vacation.action` raises.
    """
    extensions = sorted([*required(vacation), *(["include"] if script is not None else [])])
    commands = f"require [{', '.join(map(quoted, extensions))}];\r\n{action(vacation)}"
    if script is not None:
        commands += f"include :personal :optional {quoted(script)};\r\n"
    between = f"{_values(vacation, script)}{commands}".encode()
    begin, end = f"{_BEGIN}\r\n".encode(), f"{_END} {_digest(between)}\r\n".encode()
    return begin + between + end


def read(content: bytes) -> Block | None:
    """What the first block of a script was made from; None if there is none that can be read."""
    found = next(_found(content), None)
    return _read(found) if found is not None else None


def _read(found: _Found) -> Block | None:
    lines = found.values.split()
    try:
        values = json.loads(base64.b64decode(b"".join(line.removeprefix(b"#=") for line in lines)))
        if not _are_values(values):
            return None
        texts = {name: values[key] for key, name in _PROPERTIES.items()}
        vacation = Vacation(**texts, addresses=tuple(values[_ADDRESSES]))
        action(vacation)  # what can not be written was not written by us
    except (ValueError, RecursionError):
        return None
    digest = _digest(found.values + found.commands)
    return Block(vacation, values[_SCRIPT], altered=digest.encode() != found.digest)


def insert(content: bytes, vacation: Vacation) -> bytes:
    """A script with the block in it, after its `require`s. Raises Unreadable.

    `remove` gives back what it was, octet for octet.
    """
    position = outline(content).after_requires
    return content[:position] + b"\r\n" + write(vacation, None) + content[position:]


def remove(content: bytes) -> bytes:
    """A script without its blocks; what can not be read as one is left, as it is not ours."""
    kept: list[bytes] = []
    position = 0
    for found in _found(content):
        if _read(found) is not None:
            kept.append(content[position : found.start])
            position = found.end
    return b"".join((*kept, content[position:]))


def _values(vacation: Vacation, script: str | None) -> str:
    values = {key: getattr(vacation, name) for key, name in _PROPERTIES.items()}
    values |= {_ADDRESSES: vacation.addresses, _SCRIPT: script}
    text = json.dumps(values, separators=(",", ":"))
    coded = base64.b64encode(text.encode()).decode("ascii")
    lines = (coded[start : start + _WIDTH] for start in range(0, len(coded), _WIDTH))
    return "".join(f"{_VALUES}{line}\r\n" for line in lines)


def _are_values(values: Any) -> bool:
    if not isinstance(values, dict) or values.keys() != {*_PROPERTIES, _ADDRESSES, _SCRIPT}:
        return False
    addresses = values[_ADDRESSES]
    return (
        isinstance(addresses, list)
        and all(isinstance(address, str) for address in addresses)
        and all(
            value is None or isinstance(value, str)
            for name, value in values.items()
            if name != _ADDRESSES
        )
    )


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets.replace(b"\r\n", b"\n")).hexdigest()[:32]
