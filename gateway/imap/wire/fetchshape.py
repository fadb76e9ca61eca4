"""RFC 9051 §7.5.2: FETCH rows of thousands of messages, as columns.

A bulk FETCH answers with rows of one shape, `* 7 FETCH (UID 7 FLAGS (...) ... {318} ...)`. One
regular expression splits a whole chunk into its rows, and a literal's announced length must equal
the length found, so a header that imitates a row deceives nobody. Whatever does not fit the shape
is left to the framer and the tokenizer, which fill the same columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gateway.imap.errors import ProtocolError
from gateway.imap.wire import items, tokens
from gateway.imap.wire.fetchrow import fetch_items
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Untagged, number, unique_id

Column = list[bytes | None]

_ATOM = rb'(?!(?i:NIL)[ )])([^ ()"{\r\n\x00]++)'
_NUMBER = rb"(\d{1,18}+|[1-8]\d{18})"
_PATTERNS = {
    "UID": rb"UID ([1-9]\d{0,8}+|[1-3]\d{9})",
    "FLAGS": rb'FLAGS \(([^()"{\r\n\x00]*+)\)',
    "MODSEQ": rb"MODSEQ \(" + _NUMBER + rb"\)",
    "INTERNALDATE": rb'INTERNALDATE "([^"\\\r\n]*+)"',
    "RFC822.SIZE": rb"RFC822\.SIZE " + _NUMBER,
    "EMAILID": rb'EMAILID \((?!(?i:NIL)\))([^ ()"{\r\n\x00]++)\)',
    "X-GUID": rb"X-GUID " + _ATOM,
    "X-GM-MSGID": rb"X-GM-MSGID " + _ATOM,
    "DIGEST.SHA1": rb"DIGEST\.SHA1 ([0-9a-f]{40})",
    # RFC 8474 §5.2 has no parentheses around NIL, Cyrus has.
    "THREADID": rb'THREADID (?:(?i:NIL|\(NIL\))|\(([^ ()"{\r\n\x00]++)\))',
    "X-GM-THRID": rb"X-GM-THRID " + _ATOM,
    "BODYSTRUCTURE": rb"BODYSTRUCTURE (\([^\r\n]*\))",
}
_SECTION = rb'(?:%s|BODY\[[^]"\r\n]*+\])(?>(?:<\d{1,10}+>)?) \{(\d{1,10}+)\}\r\n'
# Inside a BODYSTRUCTURE `) ` is followed by a string, a list, a number or NIL: else a further item
# came after it, or a string contains this.
_FURTHER = re.compile(rb"\) (?!(?i:NIL)[ )])[^\d(\")]")
_COLUMNS = {
    "UID": "uid",
    "FLAGS": "flags",
    "MODSEQ": "modseq",
    "INTERNALDATE": "internaldate",
    "RFC822.SIZE": "size",
    "BODYSTRUCTURE": "structure",
}
_LEARNING = 3  # orders of the items tried, for servers that do not answer in the order asked


@dataclass(slots=True)
class Columns:
    """One list for each item, a message having the same index in each; empty if not asked for.

    Octets as the server sent them: `flags` without the parentheses around them, `internaldate`
    without its quotes, `structure` a value for tokens.parse, `header` the contents of the one
    section asked for. None stands for NIL, for an item the server left out and for a number that
    is none; it never stands in `uid`.
    """

    uid: list[bytes] = field(default_factory=list)
    flags: Column = field(default_factory=list)
    modseq: Column = field(default_factory=list)
    internaldate: Column = field(default_factory=list)
    size: Column = field(default_factory=list)
    identity: Column = field(default_factory=list)
    thread: Column = field(default_factory=list)
    structure: Column = field(default_factory=list)
    header: Column = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.uid)

    def append(self, row: Mapping[str, bytes | None]) -> None:
        """Add a message: its items by column."""
        for column, value in row.items():
            getattr(self, column).append(value)


class Shape:
    """The rows that answer one list of items: UID, and at most one section, asked for last."""

    def __init__(self, asked: Sequence[Item]) -> None:
        self.names = tuple(item.name for item in asked)
        self._columns = {name: _column(name) for name in self.names}
        self.columns = tuple(self._columns.values())
        if "uid" not in self.columns or len(set(self.columns)) < len(self.names):
            raise ValueError(f"not the items of a bulk FETCH: {self.names}")
        self._orders = 0
        self._rows: re.Pattern[bytes] | None = None
        self._learn(self.names)

    def take(self, chunk: bytes, columns: Columns) -> bytes:
        """Move the complete rows at the start of a chunk into the columns; returns the rest."""
        if self._rows is None:
            return chunk
        if self._literal:
            count, parts, rest = self._split_literals(self._rows, chunk)
        else:
            count, parts, rest = self._split_lines(self._rows, chunk)
        if not count:
            return chunk
        stride = len(self._order) + 1
        for place, name in enumerate(self._order, 1):
            getattr(columns, self._columns[name]).extend(parts[place : count * stride : stride])
        return rest

    def row(self, response: Untagged) -> dict[str, bytes | None]:
        """The asked items of a FETCH response, by column, the general way; absent ones left out.

        Raises ProtocolError when the response is no FETCH row.
        """
        found: dict[str, bytes | None] = {}
        order: list[str] = []
        for name, value, raw in fetch_items(response):
            order.append(name)
            column = self._columns.get(name)
            if column is not None:
                found[column] = _octets(column, value, raw)
        if found.get("uid", b"") is None:
            raise ProtocolError("a FETCH response has a UID that is no number")
        if tuple(order) != self._order and sorted(order) == sorted(self.names):
            self._learn(tuple(order))
        return found

    def _learn(self, order: tuple[str, ...]) -> None:
        """Expect the items in this order from now on."""
        self._orders += 1
        if self._orders > _LEARNING:
            return
        self._order = order
        self._literal = order[-1].startswith("BODY[")
        patterns = [_PATTERNS.get(name) for name in (order[:-1] if self._literal else order)]
        if None in patterns or (self._literal and "BODYSTRUCTURE" in order):
            self._rows = None
            return
        known = [pattern for pattern in patterns if pattern is not None]
        if self._literal:
            section = _SECTION % re.escape(order[-1].encode())  # as most servers spell it
            line = rb"\)\r\n\* \d{1,10}+ FETCH \(" + b" ".join([*known, section])
        else:
            # From the start of a line only: what imitates rows within one is not looked at again.
            line = rb"(?m:^)\* \d{1,10}+ FETCH \(" + b" ".join(known) + rb"\)\r\n"
        self._rows = re.compile(line)

    def _split_literals(
        self, rows: re.Pattern[bytes], chunk: bytes
    ) -> tuple[int, list[bytes], bytes]:
        """Complete rows, the parts (groups of row 0, its literal, groups of row 1, ...), rest."""
        octets = b")\r\n" + chunk
        parts = rows.split(octets)
        groups = len(self._order)
        stride = groups + 1
        count = len(parts) // stride
        if parts[0] or not count:
            return 0, [], chunk
        sizes = [*map(int, parts[groups::stride])]
        last = parts[-1]
        end = sizes[-1]
        if last[end : end + 3] == b")\r\n":
            parts[-1] = last[:end]
            rest = last[end + 3 :]
        else:
            count -= 1
            sizes.pop()
            rest = octets[octets.rfind(b")\r\n* ", 0, len(octets) - len(last)) + 3 :]
        literals = parts[stride : count * stride + 1 : stride]
        if [*map(len, literals)] != sizes:  # other responses between rows, or a hostile header
            lengths = zip(literals, sizes, strict=True)
            count = next(i for i, (literal, size) in enumerate(lengths) if len(literal) != size)
            literal, size = literals[count], sizes[count]
            row = _match(rows, octets, count)
            if literal[size : size + 3] == b")\r\n":
                count += 1
                parts[count * stride] = literal[:size]
                rest = octets[row.end() + size + 3 :]
            else:
                rest = octets[row.start() + 3 :]
        parts[groups::stride] = parts[stride::stride]
        return count, parts, rest

    def _split_lines(self, rows: re.Pattern[bytes], chunk: bytes) -> tuple[int, list[bytes], bytes]:
        """The same for rows without a literal."""
        parts = rows.split(chunk)
        stride = len(self._order) + 1
        count = len(parts) // stride
        gaps = parts[::stride]
        rest = gaps.pop()
        if any(gaps):
            count = next(i for i, gap in enumerate(gaps) if gap)
            rest = chunk[_match(rows, chunk, count - 1).end() :] if count else chunk
        if "BODYSTRUCTURE" in self._order:
            place = self._order.index("BODYSTRUCTURE") + 1
            for i, structure in enumerate(parts[place : count * stride : stride]):
                if _FURTHER.search(structure) and not _is_one_value(structure):
                    return i, parts, chunk[_match(rows, chunk, i).start() :]
        return count, parts, rest


def _match(rows: re.Pattern[bytes], octets: bytes, index: int) -> re.Match[bytes]:
    return next(islice(rows.finditer(octets), index, None))


def _column(name: str) -> str:
    if name.startswith("BODY["):
        return "header"
    if name in items.IDENTITIES:
        return "identity"
    if name in items.THREADS:
        return "thread"
    if name not in _COLUMNS:
        raise ValueError(f"no column for FETCH item {name}")
    return _COLUMNS[name]


def _is_one_value(raw: bytes) -> bool:
    try:
        tokens.parse(raw)
    except ProtocolError:
        return False
    return True


def _octets(column: str, value: tokens.Value, raw: bytes) -> bytes | None:
    """A value as the column holds it."""
    match column:
        case "flags":
            if not isinstance(value, list):
                return None
            if b'"' not in raw and b"{" not in raw and not any(isinstance(v, list) for v in value):
                return raw[1:-1]
            return b" ".join(v for v in value if isinstance(v, bytes))
        case "structure":
            return raw if isinstance(value, list) else None
    while isinstance(value, list):  # MODSEQ (5), EMAILID (M5)
        value = value[0] if len(value) == 1 else None
    if column == "uid":
        uid = unique_id(value)
        return None if uid is None else b"%d" % uid
    if column in ("modseq", "size"):
        found = number(value)
        return None if found is None else value if value and value.isdigit() else b"%d" % found
    return value
