"""Values for tests of the store: an account, a secret, and what a store must not take for good."""

from __future__ import annotations

import msgpack

from gateway.store.envelope import SCHEMA, seal

SECRET = b"0123456789abcdef0123456789abcdef"
ALICE = "alice@example.org"

GOOD = seal(SECRET, ALICE, "a", b"columns")


def _flipped(octets: bytes, position: int) -> bytes:
    return octets[:position] + bytes([octets[position] ^ 1]) + octets[position + 1 :]


def _framed(*frame: object) -> bytes:
    packed: bytes = msgpack.packb(frame)
    return packed


CORRUPT = {
    "nothing": b"",
    "not msgpack": b"\xc1",
    "cut short": GOOD[:-1],
    "more than it was": GOOD + b"\0",
    "first octet": _flipped(GOOD, 0),
    "account": _flipped(GOOD, 6),
    "payload": _flipped(GOOD, GOOD.index(b"columns")),
    "seal": _flipped(GOOD, len(GOOD) - 1),
    "extension type": msgpack.packb(msgpack.ExtType(5, b"x")),
    "timestamp": msgpack.packb(msgpack.Timestamp(0, 0)),
    "map with keys that are no strings": msgpack.packb({1: 2}),
    "deep nesting": b"\x91" * 100_000 + b"\xc0",
    "no seal": _framed(SCHEMA, ALICE.encode(), b"columns"),
    "text for octets": _framed(SCHEMA, ALICE, "columns", "seal"),
    "an older schema": _framed(SCHEMA - 1, *msgpack.unpackb(GOOD)[1:]),
    "a later schema": _framed(SCHEMA + 1, *msgpack.unpackb(GOOD)[1:]),
    "the same schema in other octets": b"\x94\xd0" + GOOD[1:],
    "true for a schema": b"\x94\xc3" + GOOD[2:],
    "another server's secret": seal(b"x" * 32, ALICE, "a", b"columns"),
    "another account": seal(SECRET, "bob", "a", b"columns"),
    "another key": seal(SECRET, ALICE, "b", b"columns"),
}
"""Octets that are not what was saved for ALICE under the key `a`, by what is wrong with them."""
