"""RFC 9051 §6.4.4 SEARCH, RFC 5256 SORT; RFC 4731 ESEARCH, RFC 5267 ESORT and PARTIAL."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from gateway.imap.command import Command, Commander
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.quirks import NO_ESEARCH, NO_SORT_PARTIAL
from gateway.imap.wire import encode
from gateway.imap.wire.criteria import ALL, EVERY_NUMBER, Criteria, all_of, uids
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.sequences import MAX_NUMBERS, parse_spans
from gateway.imap.wire.tokens import Value


class _Results(Command[list[int]]):
    """Takes `* SEARCH`, `* SORT` and `* ESEARCH`, whichever the server prefers to send."""

    def __init__(self) -> None:
        self._numbers = array("I")  # there may be very many

    def collect(self, response: Untagged) -> bool:
        if response.name == "ESEARCH":
            return self._collect_esearch(response.values)
        if response.name != self.name:
            return self.note_limit(response)
        self._add(response.numbers)
        return True

    def _add(self, numbers: Sequence[int]) -> None:
        if len(self._numbers) + len(numbers) > MAX_NUMBERS:
            raise ProtocolError(f"a result of over {MAX_NUMBERS} numbers")
        self._numbers.extend(numbers)

    def _collect_esearch(self, values: Sequence[Value]) -> bool:
        """RFC 4466 §2.6.2: the tag, UID, then names with values."""
        rest = list(values)
        if rest and isinstance(rest[0], list):
            correlator = rest.pop(0)
            if isinstance(correlator, list) and correlator[1:] != [self.tag]:
                return False
        if rest and isinstance(rest[0], bytes) and rest[0].upper() == b"UID":
            rest.pop(0)
        for name, value in zip(rest[::2], rest[1::2], strict=False):
            name = name.upper() if isinstance(name, bytes) else name
            if name == b"PARTIAL":
                value = value[1] if isinstance(value, list) and len(value) == 2 else None
            if name in (b"ALL", b"PARTIAL") and isinstance(value, bytes):
                for span in parse_spans(value):
                    self._add(span)
        return True


class Search(_Results):
    """UID SEARCH; the result is ascending, without duplicates."""

    name: ClassVar[str] = "SEARCH"

    def __init__(self, criteria: Criteria, *, extended: bool) -> None:
        super().__init__()
        self._criteria = criteria
        self._extended = extended

    def encode(self) -> Encoded:
        arguments = [encode.atom("UID"), encode.atom(self.name)]
        if self._extended:
            arguments += [encode.atom("RETURN"), encode.parenthesised(encode.atom("ALL"))]
        if not self._criteria.ascii:
            arguments += [encode.atom("CHARSET"), encode.atom("UTF-8")]
        return encode.join(*arguments, self._criteria.encoded)

    def finish(self, tagged: Tagged) -> list[int]:
        found = sorted(set(self._numbers))
        self.check(tagged, found)
        return found

    def smaller(self, refused: CommandRefused) -> Sequence[Search] | None:
        lowest = refused.lowest_done
        if lowest is None:
            return None
        if lowest == 1:
            return []
        below = uids(b"1:%d" % (lowest - 1))
        return [Search(all_of(below, self._criteria), extended=self._extended)]

    def merged(self, parts: Sequence[list[int]], lacks: bool) -> list[int]:
        return sorted({uid for part in parts for uid in part})


class Sort(_Results):
    """UID SORT; the result is in the order of the sort."""

    name: ClassVar[str] = "SORT"

    def __init__(self, keys: Sequence[str], criteria: Criteria, partial: int | None) -> None:
        super().__init__()
        self._keys = keys
        self._criteria = criteria
        self._partial = partial

    def encode(self) -> Encoded:
        arguments = [encode.atom("UID"), encode.atom(self.name)]
        if self._partial is not None:
            window = encode.sequence_set(b"1:%d" % self._partial)
            returns = encode.parenthesised(encode.atom("PARTIAL"), window)
            arguments += [encode.atom("RETURN"), returns]
        keys = encode.parenthesised(*map(encode.item, self._keys))
        return encode.join(*arguments, keys, encode.atom("UTF-8"), self._criteria.encoded)

    def finish(self, tagged: Tagged) -> list[int]:
        self.check(tagged)
        return list(dict.fromkeys(self._numbers))


async def uid_search(conn: Commander, criteria: Criteria, *before: Command[Any]) -> list[int]:
    """UIDs of the selected mailbox that match, ascending.

    `before` (an EXAMINE) is sent ahead, in the same round trip. Raises CommandRefused: for a word
    outside of ASCII BADCHARSET, or whatever servers say that do not know the code.
    """
    try:
        return await _search(conn, criteria, *before)
    except CommandRefused as refused:
        if criteria != ALL or refused.command != Search.name:
            raise
        return await _search(conn, EVERY_NUMBER)


async def _search(conn: Commander, criteria: Criteria, *before: Command[Any]) -> list[int]:
    extended = "ESEARCH" in conn.capabilities or "IMAP4REV2" in conn.capabilities
    if extended and NO_ESEARCH not in conn.quirks:
        try:
            return await _run(conn, Search(criteria, extended=True), before)
        except CommandRefused as refused:
            if refused.command != Search.name or refused.code == "BADCHARSET":
                raise
        found = await _run(conn, Search(criteria, extended=False), ())
        conn.quirks.add(NO_ESEARCH)
        return found
    return await _run(conn, Search(criteria, extended=False), before)


async def _run(conn: Commander, search: Search, before: Sequence[Command[Any]]) -> list[int]:
    results = await conn.run_all(*before, search)
    for result in results:
        if isinstance(result, CommandRefused):
            raise result
    return cast("list[int]", results[-1])


async def uid_sort(
    conn: Commander, keys: Sequence[str], criteria: Criteria, limit: int | None = None
) -> list[int]:
    """UIDs that match, in the order of RFC 5256 sort keys such as ("REVERSE", "ARRIVAL").

    At most the first `limit`. The server must have SORT. Raises CommandRefused.
    """
    contexts = {"CONTEXT=SORT", "CONTEXT=SEARCH"}  # Dovecot announces only the latter
    partial = "ESORT" in conn.capabilities and not contexts.isdisjoint(conn.capabilities)
    if limit is not None and partial and NO_SORT_PARTIAL not in conn.quirks:
        try:
            return await conn.run(Sort(keys, criteria, limit))
        except CommandRefused as refused:
            if refused.status != "BAD":
                raise
            conn.quirks.add(NO_SORT_PARTIAL)
    return (await conn.run(Sort(keys, criteria, None)))[:limit]
