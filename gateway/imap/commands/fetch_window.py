"""RFC 9051 §6.4.5, §7.5.2: UID FETCH of one window of a section of one message."""

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

_ORIGIN = re.compile(rb"<(\d+)>\Z")


class FetchWindow(Command[bytes | None]):
    """At most `octets` of a section from `start` on; None where the message or section is gone.

    Several can be sent at once: the origin in a response says which of them it answers. `section`
    is an item made for that window (items.section). A refusal carries nothing.
    """

    name: ClassVar[str] = "FETCH"

    def __init__(self, uid: int, section: Item, start: int, octets: int) -> None:
        self._uid = uid
        self._section = section
        self._start = start
        self._octets = octets
        self._found: bytes | None = None
        self._answered = False

    def encode(self) -> Encoded:
        return encode.join(
            encode.atom("UID"),
            encode.atom(self.name),
            encode.sequence_set(b"%d" % self._uid),
            encode.parenthesised(items.UID.encoded, self._section.encoded),
        )

    def collect(self, response: Untagged) -> bool:
        if response.name != "FETCH" or self._answered:
            return False
        values = response.values
        row = values[0] if len(values) == 1 else None
        if not isinstance(row, list):
            return False
        found = dict(_named(row))
        if found.get("UID", b"%d" % self._uid) != b"%d" % self._uid:
            return False
        if not any(self._is_this(name) for name in row[::2]):
            return False
        octets = found.get(self._section.name)
        if isinstance(octets, list) or (octets is not None and len(octets) > self._octets):
            raise ProtocolError("not the octets of a section that were asked for")
        self._found = octets
        self._answered = True
        return True

    def _is_this(self, name: Value) -> bool:
        """Whether an item is the window asked for; one without an origin is the next one."""
        if not isinstance(name, bytes) or items.label(name) != self._section.name:
            return False
        origin = _ORIGIN.search(name)
        return origin is None or int(origin[1]) == self._start

    def finish(self, tagged: Tagged) -> bytes | None:
        self.check(tagged)
        return self._found


def _named(row: list[Value]) -> list[tuple[str, Value]]:
    """Items by their names, which stand before their values."""
    pairs = zip(row[::2], row[1::2], strict=False)
    return [(items.label(name), value) for name, value in pairs if isinstance(name, bytes)]
