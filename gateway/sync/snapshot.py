"""The account index as octets for the store, and back.

One value holds the whole index, in columns: differences of neighbours, their octets transposed,
deflated. What can be worked out again (keywords of an Email, its home, the look-up orders) is
not in it. It is rebuildable: what does not decode is as good as absent.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from gateway.sync import ids
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier
from gateway.sync.keywords import DELETED, KeywordTable, select
from gateway.sync.placements import MailboxColumns

VERSION = 3
_COLUMNS = ("thread", "received", "octets", "attachment")
_LEVEL = 6
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)


class NotASnapshot(ValueError):
    """The octets are no snapshot of this version; `reason` says what is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Differences:
    """A column to be packed as differences of neighbours; a copy, so that it holds still."""

    column: npt.NDArray[Any]


def capture(data: AccountData) -> dict[str, Any]:
    """A complete account at this moment; quick, while dump() of it may take its time."""
    emails = data.emails
    size = emails.size
    document: dict[str, Any] = {
        "version": VERSION,
        "tier": data.tier.value,
        "server_threads": data.index.server_threads,
        "keywords": list(data.index.keywords.names),
        "size": size,
        "thread_keys": emails.thread_keys.tobytes(),
        "mailboxes": [
            _capture_mailbox(id_, data.wires[id_], columns)
            for id_, number in data.numbers.items()
            if (columns := data.index.mailbox(number)).complete
        ],
    }
    for name in _COLUMNS:
        document[name] = _Differences(getattr(emails, name)[:size].copy())
    if emails.given is not None:
        document["given"] = "\n".join(emails.given)
    else:
        # Digests have nothing to give to a packer.
        document["key"] = emails.key[:size].tobytes()
        document["tail"] = emails.tail[:size].tobytes()
    return document


def _capture_mailbox(mailbox_id: str, wire: bytes, columns: MailboxColumns) -> dict[str, Any]:
    words = range(columns.bits.shape[1])
    return {
        "id": mailbox_id,
        "wire": wire,
        "number": columns.number,
        "uidvalidity": columns.uidvalidity,
        "uidnext": columns.uidnext,
        "highestmodseq": columns.highestmodseq,
        "exists": columns.exists,
        "uids": _Differences(columns.uids.copy()),
        "rows": _Differences(columns.rows.copy()),
        "modseqs": _Differences(columns.modseqs.copy()),
        "bits": [_Differences(columns.bits[:, word].copy()) for word in words],
    }


def dump(captured: dict[str, Any]) -> bytes:
    """The octets of what capture() gave."""
    octets: bytes = msgpack.packb(captured, default=_pack)
    return octets


def _pack(value: object) -> bytes:
    if isinstance(value, _Differences):
        return _differences(value.column)
    raise TypeError(type(value))


def load(octets: bytes, epoch: str) -> AccountData:
    """Inverse of dump(capture()). Raises NotASnapshot."""
    try:
        document = msgpack.unpackb(octets)
        if document["version"] != VERSION:
            raise NotASnapshot("version")
        return _load(document, epoch)
    except (*_UNREADABLE, zlib.error, msgpack.exceptions.UnpackException) as error:
        raise NotASnapshot(str(error)) from error


def _load(document: dict[str, Any], epoch: str) -> AccountData:
    data = AccountData(Tier(document["tier"]), epoch)
    data.index.keywords = KeywordTable(tuple(document["keywords"]))
    data.index.server_threads = document["server_threads"]
    emails, size = data.emails, document["size"]
    if emails.given is not None:
        given = document["given"].split("\n") if size else []
        emails.add([ids.email_digest(g.encode()) for g in given], given)
    else:
        keys = np.frombuffer(document["key"], np.uint64).astype(">u8")
        tails = np.frombuffer(document["tail"], np.uint32).astype(">u4")
        digests = [k + t for k, t in zip(_items(keys, 8), _items(tails, 4), strict=True)]
        emails.add(digests, None)
    if emails.size != size:
        raise NotASnapshot("size")
    emails.thread_keys = np.frombuffer(document["thread_keys"], np.uint64).copy()
    for name in _COLUMNS:
        getattr(emails, name)[:size] = _sums(document[name], size)
    _check_rows(emails.thread[:size], len(emails.thread_keys))
    for entry in document["mailboxes"]:
        _load_mailbox(data, entry)
    if size > 2 * int(np.count_nonzero(emails.visible())) + 1000:
        raise NotASnapshot("mostly of messages that are gone")
    return data


def _load_mailbox(data: AccountData, entry: dict[str, Any]) -> None:
    if entry["number"] in data.index.mailboxes:
        raise NotASnapshot("number")
    if not isinstance(entry["wire"], bytes):
        raise NotASnapshot("wire")
    columns = data.index.mailbox(entry["number"])
    data.numbers[entry["id"]] = entry["number"]
    data.wires[entry["id"]] = entry["wire"]
    columns.uidvalidity = entry["uidvalidity"]
    columns.uidnext = entry["uidnext"]
    columns.highestmodseq = entry["highestmodseq"]
    columns.exists = entry["exists"]
    columns.complete = True
    uids = _sums(entry["uids"]).astype(np.uint32)
    rows = _sums(entry["rows"], len(uids)).astype(np.int32)
    bits = np.stack([_sums(word, len(uids)) for word in entry["bits"]], axis=1).view(np.uint64)
    _check_rows(rows, data.emails.size)
    columns.merge(uids, rows, bits, _sums(entry["modseqs"], len(uids)).view(np.uint64))
    data.index.attach(columns, ~select(columns.bits, DELETED))


def _check_rows(rows: npt.NDArray[Any], size: int) -> None:
    if len(rows) and (rows.min() < 0 or rows.max() >= size):
        raise NotASnapshot("rows")


def _items(column: npt.NDArray[Any], width: int) -> list[bytes]:
    octets = column.tobytes()
    return [octets[at : at + width] for at in range(0, len(octets), width)]


def _differences(column: npt.NDArray[Any]) -> bytes:
    """Neighbours' differences, transposed (all lowest octets first) and deflated."""
    values = column.astype(np.int64) if column.dtype != np.uint64 else column.view(np.int64)
    steps = np.diff(values, prepend=np.int64(0))
    return zlib.compress(steps.view(np.uint8).reshape(-1, 8).T.tobytes(), _LEVEL)


def _sums(packed: bytes, size: int | None = None) -> npt.NDArray[np.int64]:
    """Inverse of _differences(), as signed numbers."""
    octets = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(8, -1)
    values = np.cumsum(np.ascontiguousarray(octets.T).view(np.int64).ravel())
    if size is not None and len(values) != size:
        raise NotASnapshot("length")
    return values
