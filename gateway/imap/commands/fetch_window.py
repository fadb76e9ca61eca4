"""RFC 9051 §6.4.5, §7.5.2: UID FETCH of one window of a section of one message.

Where the response has the usual shape its literal is taken straight from the stream: to put that
many octets together once more, some times over, costs as much as to decode them.
"""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import re
from typing import ClassVar

from gateway.imap.command import Command
from gateway.imap.errors import ProtocolError
from gateway.imap.wire import encode, items
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.tokens import Value

_ORIGIN = re.compile(rb"<(\d++)>\Z")
_HEAD = re.compile(
    rb"(\* \d{1,10} FETCH \(UID (\d{1,10})) (BODY\[[0-9.A-Z]*+\]<\d{1,20}>) \{(\d{1,10})\}\r\n"
)


class FetchWindow(Command[bytes | None]):
    """At most `octets` of a section from `start` on; None where the message or section is gone.

    Several can be sent at once: the origin in a response says which of them it answers. `section`
    is an item made for that window (items.section). `untold` is the result where the section is
    there without a value. A refusal carries nothing.
    """

    name: ClassVar[str] = "FETCH"
    bulk: ClassVar[bool] = True

    def __init__(
        self, uid: int, section: Item, start: int, octets: int, *, untold: bytes | None = None
    ) -> None:
        self._uid = b"%d" % uid
        self._section = section
        self._start = start
        self._octets = octets
        self._untold = untold
        self._answered = False
        self._found: list[bytes] | None = None  # None also if the answer is NIL
        self._head = b""  # of the row whose literal is being taken
        self._missing = 0  # octets of that still to come

    def encode(self) -> Encoded:
        return encode.join(
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(self._uid),
            encode.parenthesised(items.UID.encoded, self._section.encoded),
        )

    def take(self, chunk: bytes) -> bytes:
        """Take the literal, as far as it is there; the rest of its row goes the general way."""
        if self._found is not None and self._missing:
            return self._take_literal(self._found, chunk, 0)
        head = None if self._answered else _HEAD.match(chunk)
        if head is None or head[2] != self._uid or not self._is_this(head[3]):
            return chunk
        self._head = head[1]
        self._missing = self._checked(int(head[4]))
        self._answered = True
        self._found = []
        return self._take_literal(self._found, chunk, head.end())

    def _take_literal(self, found: list[bytes], chunk: bytes, start: int) -> bytes:
        part = chunk[start : start + self._missing]
        found.append(part)
        self._missing -= len(part)
        return b"" if self._missing else self._head + chunk[start + len(part) :]

    def collect(self, response: Untagged) -> bool:
        if response.name != "FETCH":
            return False
        values = response.values
        row = values[0] if len(values) == 1 else None
        if not isinstance(row, list):
            return False
        found = dict(_named(row))
        if found.get("UID", self._uid) != self._uid:
            return False
        if self._answered:
            return self._head != b"" and found.keys() == {"UID"}  # what `take` left of the row
        if not any(self._is_this(name) for name in row[::2]):
            return False
        octets = found.get(self._section.name)
        if isinstance(octets, list):
            raise ProtocolError("a section that is no string")
        if octets is not None:
            self._checked(len(octets))
            self._found = [octets]
        self._answered = True
        return True

    def _is_this(self, name: Value) -> bool:
        """Whether an item is the window asked for; one without an origin is the next one."""
        if not isinstance(name, bytes) or items.label(name) != self._section.name:
            return False
        origin = _ORIGIN.search(name)
        return origin is None or int(origin[1]) == self._start

    def _checked(self, octets: int) -> int:
        if octets > self._octets:
            raise ProtocolError(f"{octets} octets of a section instead of {self._octets}")
        return octets

    def finish(self, tagged: Tagged) -> bytes | None:
        self.check(tagged)
        if self._found is None:
            return self._untold if self._answered else None
        return b"".join(self._found)


def _named(row: list[Value]) -> list[tuple[str, Value]]:
    """Items by their names, which stand before their values."""
    pairs = zip(row[::2], row[1::2], strict=False)
    return [(items.label(name), value) for name, value in pairs if isinstance(name, bytes)]
