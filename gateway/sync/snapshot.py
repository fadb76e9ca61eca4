"""The account as octets for the store, and back.

One value holds the whole index, in packed columns, and the mailboxes. What can be worked out again
(keywords of an Email, its home, the look-up orders) is not in it. It is rebuildable: what does not
decode is as good as absent.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.sync import ids, packing
from gateway.sync.counts import Counts
from gateway.sync.data import AccountData, Committed
from gateway.sync.emails import split
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal
from gateway.sync.keywords import KeywordTable, widen
from gateway.sync.packing import NotPacked, unpack
from gateway.sync.placements import MailboxColumns, Placed
from gateway.sync.record import dump_mailbox, load_mailbox
from gateway.sync.strings import CHUNK_ROWS

VERSION = 5
_COLUMNS = ("thread", "received", "octets", "attachment")
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    NotPacked,
    zlib.error,
    msgpack.exceptions.UnpackException,
)


class NotASnapshot(ValueError):
    """The octets are no snapshot of this version; `reason` says what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Column:
    """A column to be packed; a copy, so that it holds still."""

    values: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Text:
    """Text to be packed."""

    octets: bytes


def capture(data: AccountData) -> dict[str, Any]:
    """An account at this moment; quick, while dump() of it may take its time.

    Only what is committed: rows beyond that belong to nobody yet.
    """
    emails, (size, keywords) = data.emails, data.committed
    threads = int(emails.thread[:size].max()) + 1 if size else 0
    columns = [data.index.mailbox(number) for number in data.numbers.values()]
    document: dict[str, Any] = {
        "version": VERSION,
        "tier": data.tier.value,
        "server_threads": data.index.server_threads,
        "keywords": list(data.index.keywords.names[:keywords]),
        "numbering": data.numbering,
        "size": size,
        "thread_keys": emails.thread_keys[:threads].tobytes(),
        "mailboxes": [dump_mailbox(mailbox) for mailbox in data.mailboxes.values()],
        "numbers": data.numbers,
        "past": data.past,
        "namespaces": _namespaces(data),
        "headers": _last_headers(data),
        "counts": data.shown_counts,
        "figures": [_figures(each) for each in columns],
        **_placements(columns),
    }
    for name in _COLUMNS:
        document[name] = _Column(getattr(emails, name)[:size].copy())
    if emails.given is not None:
        document["given"] = _Text("\n".join(emails.given[:size]).encode())
    else:
        # Digests have nothing to give to a packer.
        document["key"] = emails.key[:size].tobytes()
        document["tail"] = emails.tail[:size].tobytes()
    return document


def _namespaces(data: AccountData) -> list[list[tuple[str, str | None]]] | None:
    if data.namespaces is None:
        return None
    kinds = (data.namespaces.personal, data.namespaces.other, data.namespaces.shared)
    return [[(space.prefix, space.delimiter) for space in spaces] for spaces in kinds]


def _load_namespaces(kinds: list[list[tuple[str, str | None]]] | None) -> Namespaces | None:
    if kinds is None:
        return None
    personal, other, shared = (tuple(Namespace(*space) for space in spaces) for spaces in kinds)
    return Namespaces(personal, other, shared)


def _last_headers(data: AccountData) -> list[bytes | None]:
    """Header fields of the last rows, which fill no chunk that would be saved by itself."""
    size = data.committed.rows
    return [data.headers.get(row) for row in range(size - size % CHUNK_ROWS, size)]


def _figures(columns: MailboxColumns) -> list[Any]:
    return [
        columns.uidvalidity,
        columns.uidnext,
        columns.highestmodseq,
        columns.exists,
        len(columns.uids),
        columns.bits.shape[1],
    ]


def _placements(placed: list[MailboxColumns]) -> dict[str, Any]:
    """The columns of all mailboxes, one after the other: to pack many short ones takes long."""
    words = max((columns.bits.shape[1] for columns in placed), default=0)
    bits = [widen(columns.bits, words) for columns in placed]
    return {
        "uids": _joined([columns.uids for columns in placed]),
        "rows": _joined([columns.rows for columns in placed]),
        "modseqs": _joined([columns.modseqs for columns in placed]),
        "bits": [_joined([each[:, word] for each in bits]) for word in range(words)],
    }


def _joined(columns: list[npt.NDArray[Any]]) -> _Column:
    return _Column(np.concatenate(columns) if columns else np.zeros(0, np.int64))


def dump(captured: dict[str, Any]) -> bytes:
    """The octets of what capture() gave."""
    octets: bytes = msgpack.packb(captured, default=_pack)
    return octets


def _pack(value: object) -> bytes:
    if isinstance(value, _Column):
        return packing.pack(value.values)
    if isinstance(value, _Text):
        return packing.deflate(value.octets, packing.TEXT)
    raise TypeError(type(value))


def load(octets: bytes, journal: Journal) -> AccountData:
    """Inverse of dump(capture()). Raises NotASnapshot."""
    try:
        document = msgpack.unpackb(octets)
        if document["version"] != VERSION:
            raise NotASnapshot("version")
        return _load(document, journal)
    except _UNREADABLE as error:
        raise NotASnapshot(str(error)) from error


def _load(document: dict[str, Any], journal: Journal) -> AccountData:
    data = AccountData(Tier(document["tier"]), journal)
    data.index.keywords = KeywordTable(tuple(document["keywords"]))
    data.index.server_threads = document["server_threads"]
    data.numbering = document["numbering"]
    _load_emails(data, document)
    data.mailboxes = {fields[0]: load_mailbox(fields) for fields in document["mailboxes"]}
    data.choices = {id_: mailbox.choice for id_, mailbox in data.mailboxes.items()}
    data.past = document["past"]
    data.namespaces = _load_namespaces(document["namespaces"])
    _load_placements(data, document)
    data.committed, data.is_indexed = Committed.of(data.index), True
    data.shown_counts = {id_: Counts(*counts) for id_, counts in document["counts"].items()}
    return data


def _load_emails(data: AccountData, document: dict[str, Any]) -> None:
    emails, size = data.emails, document["size"]
    if emails.given is not None:
        given = zlib.decompress(document["given"]).decode().split("\n") if size else []
        emails.restore(*split([ids.email_digest(g.encode()) for g in given]), given)
    else:
        keys = np.frombuffer(document["key"], np.uint64)
        emails.restore(keys, np.frombuffer(document["tail"], np.uint32), None)
    if emails.size != size:
        raise NotASnapshot("size")
    emails.thread_keys = np.frombuffer(document["thread_keys"], np.uint64).copy()
    for name in _COLUMNS:
        getattr(emails, name)[:size] = unpack(document[name], size)
    _check_rows(emails.thread[:size], len(emails.thread_keys))
    start = size - size % CHUNK_ROWS
    known = [(start + at, h) for at, h in enumerate(document["headers"]) if isinstance(h, bytes)]
    data.headers.put([row for row, _ in known if row < size], [header for _, header in known])


def _load_placements(data: AccountData, document: dict[str, Any]) -> None:
    uids = unpack(document["uids"]).astype(np.uint32)
    rows = unpack(document["rows"], len(uids)).astype(np.int32)
    modseqs = unpack(document["modseqs"], len(uids)).view(np.uint64)
    words = [unpack(word, len(uids)).view(np.uint64) for word in document["bits"]]
    _check_rows(rows, data.emails.size)
    end = 0
    for (id_, number), figures in zip(
        document["numbers"].items(), document["figures"], strict=True
    ):
        *told, count, width = figures
        if number in data.index.mailboxes:
            raise NotASnapshot("number")
        start, end = end, end + count
        columns = data.index.mailbox(number)
        columns.uidvalidity, columns.uidnext, columns.highestmodseq, columns.exists = told
        columns.complete = True
        bits = np.stack([word[start:end] for word in words[:width]], axis=1)
        columns.merge(Placed(uids[start:end], rows[start:end], bits, modseqs[start:end]))
        data.index.attach(columns, columns.shown())
        data.place_mailbox(data.mailboxes[id_], number)
    if end != len(uids):
        raise NotASnapshot("count")


def _check_rows(rows: npt.NDArray[Any], size: int) -> None:
    if len(rows) and (rows.min() < 0 or rows.max() >= size):
        raise NotASnapshot("rows")
