"""RFC 9051 §7.5.2 (FETCH) to the index: pass 1, what is known of a message from its header."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.imap.wire.fetchshape import Columns
from gateway.mime.dates import parse as parse_date
from gateway.mime.threading import field_values, thread_seeds
from gateway.sync import dates, identity, ids
from gateway.sync.arrays import Seconds
from gateway.sync.data import AccountData
from gateway.sync.identity import Tier
from gateway.sync.index import AccountIndex, Arrivals
from gateway.sync.placements import Placed
from gateway.sync.strings import StringColumn


def read(data: AccountData, columns: Columns) -> Placed:
    """Messages of a mailbox with their rows in the index, made where they are new.

    They are not placed by that: a new row is no Email yet. What a server leaves out counts as
    empty; a message that it does not name is passed over, and asked for again by the next
    synchronisation. Where no message is named by the server, `identity` may hold the beginnings of
    texts (see identity.of_fingerprints).
    """
    index, tier = data.index, data.tier
    messages = _without_gaps(columns, tier)
    if not messages.uid:
        return Placed.none()
    uids = numbers(messages.uid).astype(np.uint32)
    octets = numbers(messages.size)
    received = dates.seconds(messages.internaldate)
    if tier is Tier.FINGERPRINT:
        texts = messages.identity or [b""] * len(messages.header)
        known = identity.of_fingerprints(messages.header, octets.tolist(), received.tolist(), texts)
    else:
        known = identity.of_items(tier, messages.identity)
    modseqs = numbers(messages.modseq) if messages.modseq else np.zeros(len(uids), np.int64)
    arrivals = Arrivals(
        uids=uids,
        digests=known.digests,
        given=known.given,
        bits=index.keywords.parse_column(messages.flags),
        modseqs=modseqs.astype(np.uint64),
        received=_received(received, messages.header),
        octets=octets,
    )
    rows, made = index.rows_of(arrivals)
    if len(made):
        _complete(index, data.headers, messages, known.digests, made.tolist())
    return Placed(uids, rows, arrivals.bits, arrivals.modseqs)


@dataclass(frozen=True, slots=True)
class _Messages:
    """FETCH answers without gaps, a list each, in the same order."""

    uid: list[bytes]
    flags: list[bytes]
    modseq: list[bytes]
    internaldate: list[bytes]
    size: list[bytes]
    identity: list[bytes]
    thread: list[bytes]
    header: list[bytes]


def _without_gaps(columns: Columns, tier: Tier) -> _Messages:
    kept: Sequence[int] | None = None
    naming = columns.header if tier is Tier.FINGERPRINT else columns.identity
    if None in naming:
        kept = [i for i, value in enumerate(naming) if value is not None]
    if len(set(columns.uid)) < len(columns.uid):  # a server told of a message twice
        every = range(len(columns.uid)) if kept is None else kept
        kept = sorted({columns.uid[i]: i for i in every}.values())

    def filled(column: Sequence[bytes | None], default: bytes) -> list[bytes]:
        values = column if kept is None or not column else [column[i] for i in kept]
        return [default if v is None else v for v in values]

    return _Messages(
        uid=filled(columns.uid, b""),
        flags=filled(columns.flags, b""),
        modseq=filled(columns.modseq, b"0"),
        internaldate=filled(columns.internaldate, b""),
        size=filled(columns.size, b"0"),
        identity=filled(columns.identity, b""),
        thread=filled(columns.thread, b""),
        header=filled(columns.header, b""),
    )


def _received(told: Seconds, headers: Sequence[bytes]) -> Seconds:
    """RFC 8621 §4.1.1 receivedAt: where the server tells no date, that of the header, else now."""
    untold = np.flatnonzero(told == 0).tolist()
    if not untold:
        return told
    received, now = told.copy(), int(time.time())
    for i in untold:
        date = parse_date(field_values(headers[i], (b"date",))[0])
        sent = int(date.timestamp()) if date is not None and date.year > 1970 else now
        received[i] = min(sent, now)
    return received


def _complete(
    index: AccountIndex,
    headers: StringColumn,
    messages: _Messages,
    digests: Sequence[bytes],
    made: list[int],
) -> None:
    """Thread and header of the rows just made, which are the last ones."""
    emails = index.emails
    start = emails.size - len(made)
    if index.server_threads is None:
        index.server_threads = any(messages.thread)
    blocks, threads = messages.header, messages.thread
    if not index.server_threads or not threads:
        threads = [b""] * len(blocks)
    if len(made) < len(blocks):
        blocks, threads = [blocks[i] for i in made], [threads[i] for i in made]
        digests = [digests[i] for i in made]
    seeds = [
        b"\0" + thread if thread else seed
        for thread, seed in zip(threads, thread_seeds(blocks), strict=True)
    ]
    # A message that names no message at all is a Thread of its own.
    keys = b"".join(
        ids.thread_digest(seed) if seed else digest[: ids.THREAD_DIGEST_OCTETS]
        for seed, digest in zip(seeds, digests, strict=True)
    )
    emails.thread[start : emails.size] = emails.threads(
        np.frombuffer(keys, ">u8").astype(np.uint64)
    )
    headers.extend(start, blocks)


def numbers(values: Sequence[bytes]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A column of decimal numbers; ValueError when one of them is none."""
    column = np.fromstring(b" ".join(values).decode("ascii"), np.int64, sep=" ")
    if len(column) != len(values):
        raise ValueError("a number is missing")
    return column
