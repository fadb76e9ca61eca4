"""RFC 8621 §4.1.1: the table of Emails of one account, a row each, in columns.

Rows are only ever appended. A row without a visible placement is a destroyed Email; it comes
back to life when the same message turns up again, as it does in the middle of every move.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from gateway.sync import ids
from gateway.sync.arrays import Bits, Keys, Mask, Rows, Seconds, grown, ranked
from gateway.sync.keywords import widen

NOWHERE: Final = 0xFFFF
UNKNOWN, NO, YES = -1, 0, 1

_TAIL = 4


class EmailTable:
    """Columns over Emails; `size` rows are in use.

    key, tail: the 96-bit digest of the identity; given: the server's own id where it has one.
    thread: row in `thread_keys`; received: seconds since 1970 (INTERNALDATE); octets: size.
    home_mailbox, home_uid: one visible placement (NOWHERE when there is none); further ones
    stand in `copies`. bits: keywords of the Email, over all its visible placements.
    """

    def __init__(self, *, given_ids: bool = False) -> None:
        self.size = 0
        self.key: Keys = np.zeros(0, np.uint64)
        self.tail = np.zeros(0, np.uint32)
        self.thread: Rows = np.zeros(0, np.int32)
        self.received: Seconds = np.zeros(0, np.int64)
        self.octets: Seconds = np.zeros(0, np.int64)
        self.bits: Bits = np.zeros((0, 1), np.uint64)
        self.home_mailbox = np.zeros(0, np.uint16)
        self.home_uid = np.zeros(0, np.uint32)
        self.attachment = np.zeros(0, np.int8)
        self.copies: dict[int, list[tuple[int, int]]] = {}
        self.given: list[str] | None = [] if given_ids else None
        self.thread_keys: Keys = np.zeros(0, np.uint64)
        self._order = _KeyOrder()
        self._thread_order = _KeyOrder()

    _COLUMNS = (
        "key",
        "tail",
        "thread",
        "received",
        "octets",
        "bits",
        "home_mailbox",
        "home_uid",
        "attachment",
    )

    def _reserve(self, size: int) -> None:
        for name in self._COLUMNS:
            setattr(self, name, grown(getattr(self, name), size))

    def widen(self, words: int) -> None:
        """Make room for keywords in `words` words."""
        self.bits = widen(self.bits, words)

    def find(self, digests: Sequence[bytes]) -> Rows:
        """Row of each identity digest, -1 where it is not known."""
        keys, tails = split(digests)
        return self._match(keys, tails)

    def _match(self, keys: Keys, tails: Any) -> Rows:
        rows = self._order.find(self.key, self.size, keys)
        hit = rows >= 0
        rows[hit] = np.where(self.tail[rows[hit]] == tails[hit], rows[hit], -1)
        return rows

    def add(self, digests: Sequence[bytes], given: Sequence[str] | None) -> tuple[Rows, Rows]:
        """Rows of the identities, made where missing; and which positions made a new row.

        The new rows are consecutive and in the order of the positions returned, so that
        columns of the caller line up with them.
        """
        keys, tails = split(digests)
        rows = self._match(keys, tails)
        missing = np.flatnonzero(rows < 0)
        if not len(missing):
            return rows, missing.astype(np.int32)
        first, rank = _in_order_of_appearance(keys[missing])
        rows[missing] = self.size + rank
        made = missing[first].astype(np.int32)
        self._append(keys[made], tails[made])
        if self.given is not None and given is not None:
            self.given.extend(given[i] for i in made.tolist())
        return rows, made

    def digests(self, start: int) -> bytes:
        """The identity digests of the rows from `start` on, joined."""
        octets = np.empty((self.size - start, ids.EMAIL_DIGEST_OCTETS), np.uint8)
        octets[:, :8] = self.key[start : self.size].astype(">u8").view(np.uint8).reshape(-1, 8)
        octets[:, 8:] = self.tail[start : self.size].astype(">u4").view(np.uint8).reshape(-1, _TAIL)
        return octets.tobytes()

    def append(self, digests: bytes, given: Sequence[str] | None) -> None:
        """Make rows for identities that have none, given their digests, joined."""
        self.restore(*_columns(digests), given)

    def restore(self, keys: Keys, tails: Any, given: Sequence[str] | None) -> None:
        """Make rows as they were made before; none is looked up."""
        self._append(keys, tails)
        if self.given is not None and given is not None:
            self.given.extend(given)

    def truncate(self, size: int) -> None:
        """Forget the rows from `size` on, which are no Emails."""
        self.size = size
        threads = int(self.thread[:size].max()) + 1 if size else 0
        self.thread_keys = self.thread_keys[:threads]
        self._order, self._thread_order = _KeyOrder(), _KeyOrder()
        if self.given is not None:
            del self.given[size:]

    def only(self, rows: Rows) -> EmailTable:
        """A table of some rows (ascending) with their Threads, as if no other had ever been."""
        given = self.given
        table = EmailTable(given_ids=given is not None)
        table.size = len(rows)
        for name in self._COLUMNS:
            setattr(table, name, getattr(self, name)[rows])
        threads, places = ranked(table.thread, len(self.thread_keys))
        table.thread, table.thread_keys = places.astype(np.int32), self.thread_keys[threads]
        table.given = [given[row] for row in rows.tolist()] if given is not None else None
        numbers = {row: at for at, row in enumerate(rows.tolist()) if row in self.copies}
        table.copies = {at: list(self.copies[row]) for row, at in numbers.items()}
        return table

    def _append(self, keys: Keys, tails: Any) -> None:
        start, end = self.size, self.size + len(keys)
        self._reserve(end)
        self.key[start:end] = keys
        self.tail[start:end] = tails
        self.home_mailbox[start:end] = NOWHERE
        self.attachment[start:end] = UNKNOWN
        self.bits[start:end] = 0
        self.size = end

    def threads(self, keys: Keys) -> Rows:
        """Thread row of each 64-bit thread key, made where missing."""
        rows = self._thread_order.find(self.thread_keys, len(self.thread_keys), keys)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            first, rank = _in_order_of_appearance(keys[missing])
            rows[missing] = len(self.thread_keys) + rank
            self.thread_keys = np.concatenate([self.thread_keys, keys[missing[first]]])
        return rows

    def thread_row(self, thread_id: str) -> int:
        """Thread row of a Thread id, -1 when there is no such Thread."""
        key = ids.thread_key_of(thread_id)
        if key is None:
            return -1
        keys = np.array([key], np.uint64)
        return int(self._thread_order.find(self.thread_keys, len(self.thread_keys), keys)[0])

    def rows(self, email_ids: Iterable[str]) -> dict[str, int]:
        """Rows of Email ids, of those that are Emails now."""
        digests = {id_: self._digest_of(id_) for id_ in email_ids}
        known = {id_: digest for id_, digest in digests.items() if digest is not None}
        if not known or not self.size:
            return {}
        rows = self.find(list(known.values()))
        visible = (rows >= 0) & (self.home_mailbox[rows] != NOWHERE)
        return {
            id_: row
            for id_, row, there in zip(known, rows.tolist(), visible.tolist(), strict=True)
            if there
        }

    def row(self, email_id: str) -> int:
        """Row of an Email id, -1 when there is no such Email now."""
        return self.rows((email_id,)).get(email_id, -1)

    def _digest_of(self, email_id: str) -> bytes | None:
        if self.given is None:
            return ids.email_digest_of(email_id)
        return ids.email_digest(email_id.encode("ascii")) if ids.is_id(email_id) else None

    def id(self, row: int) -> str:
        """Email id of a row."""
        if self.given is not None:
            return self.given[row]
        octets = int(self.key[row]).to_bytes(8, "big") + int(self.tail[row]).to_bytes(_TAIL, "big")
        return ids.email_id(octets)

    def visible(self) -> Mask:
        """Which rows are Emails now, shape (size,)."""
        mask: Mask = self.home_mailbox[: self.size] != NOWHERE
        return mask

    def placements(self, row: int) -> list[tuple[int, int]]:
        """(mailbox number, UID) of each visible placement of a row."""
        if self.home_mailbox[row] == NOWHERE:
            return []
        home = (int(self.home_mailbox[row]), int(self.home_uid[row]))
        return [home, *self.copies.get(row, ())]

    @property
    def nbytes(self) -> int:
        """Octets of all columns."""
        columns = sum(getattr(self, name).nbytes for name in self._COLUMNS)
        orders = self._order.nbytes + self._thread_order.nbytes
        return int(columns + self.thread_keys.nbytes + orders + 160 * len(self.copies))

    def trim(self) -> None:
        """Give back the room kept for growth; worth it once an account is indexed."""
        for name in self._COLUMNS:
            setattr(self, name, getattr(self, name)[: self.size].copy())


def split(digests: Sequence[bytes]) -> tuple[Keys, Any]:
    """The columns `key` and `tail` of digests."""
    return _columns(b"".join(digests))


def _columns(digests: bytes) -> tuple[Keys, Any]:
    octets = np.frombuffer(digests, np.uint8).reshape(-1, ids.EMAIL_DIGEST_OCTETS)
    keys = np.ascontiguousarray(octets[:, :8]).view(">u8").ravel().astype(np.uint64)
    tails = np.ascontiguousarray(octets[:, 8:]).view(">u4").ravel().astype(np.uint32)
    return keys, tails


def _in_order_of_appearance(keys: Keys) -> tuple[Rows, Rows]:
    """Positions of the first of each key, ascending; and for each key its place among those.

    Rows that are made in this order follow the messages, which is why their columns pack well.
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return first[order].astype(np.int32), rank[inverse]


class _KeyOrder:
    """Finds rows by key: the rows sorted by key, brought up to date when asked."""

    def __init__(self) -> None:
        self._rows: Rows = np.zeros(0, np.int32)
        self._keys: Keys = np.zeros(0, np.uint64)

    def find(self, column: Keys, size: int, keys: Keys) -> Rows:
        """Row of each key in column[:size], -1 where there is none."""
        self._update(column, size)
        if not size:
            return np.full(len(keys), -1, np.int32)
        at = np.searchsorted(self._keys, keys)
        at[at == size] = 0
        return np.where(self._keys[at] == keys, self._rows[at], -1).astype(np.int32)

    def _update(self, column: Keys, size: int) -> None:
        known = len(self._rows)
        if known == size:
            return
        fresh = column[known:size]
        order = np.argsort(fresh, kind="stable")
        if not known:
            self._keys, self._rows = fresh[order], order.astype(np.int32)
            return
        at = np.searchsorted(self._keys, fresh[order])
        self._keys = np.insert(self._keys, at, fresh[order])
        self._rows = np.insert(self._rows, at, (known + order).astype(np.int32))

    @property
    def nbytes(self) -> int:
        return int(self._rows.nbytes + self._keys.nbytes)
