"""Design §7: the frame around every stored value, by which a value proves it is what was asked.

    [schema, account, payload, seal]        a msgpack array

The seal is an HMAC over account, key and payload. A value that was damaged, forged, written by
another version, or filed under another account or key does not open, and counts as never saved.
What opens is octet for octet what `seal` gives, so that sealed values can be compared as they are.
"""

from __future__ import annotations

import hmac
import struct
from typing import NoReturn

import msgpack

from gateway.store.keys import canonical

SCHEMA = 1
"""Raise it when any stored value changes its meaning: all older values become misses."""

_SEAL_OCTETS = 16


class Unsealable(ValueError):
    """These octets are not what was saved for this account under this key; says why."""


def seal(secret: bytes, account: str, key: str, payload: bytes) -> bytes:
    """The octets to store for `payload`."""
    return _packed(SCHEMA, canonical(account), payload, _digest(secret, account, key, payload))


def unseal(secret: bytes, account: str, key: str, octets: bytes) -> bytes:
    """The payload that was sealed for this account and key; raises Unsealable for all else."""
    try:
        frame = msgpack.unpackb(octets, strict_map_key=True, ext_hook=_refuse, use_list=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise Unsealable("does not decode") from error
    match frame:
        case (int(schema), bytes(holder), bytes(payload), bytes(digest)):
            pass
        case _:
            raise Unsealable("has another shape")
    if schema != SCHEMA:
        raise Unsealable(f"has schema {schema}, not {SCHEMA}")
    if holder != canonical(account):
        raise Unsealable("belongs to another account")
    if not hmac.compare_digest(digest, _digest(secret, account, key, payload)):
        raise Unsealable("is not as it was saved")
    if octets != _packed(SCHEMA, holder, payload, digest):
        raise Unsealable("is packed in another way")
    return payload


def _packed(*frame: int | bytes) -> bytes:
    packed: bytes = msgpack.packb(frame)
    return packed


def _digest(secret: bytes, account: str, key: str, payload: bytes) -> bytes:
    """Each part goes in with its length, so that no two (account, key, payload) look alike."""
    holder, name = canonical(account), key.encode()
    mac = hmac.new(secret, b"value\0", "sha256")
    mac.update(struct.pack(">III", SCHEMA, len(holder), len(name)) + holder + name)
    mac.update(payload)
    return mac.digest()[:_SEAL_OCTETS]


def _refuse(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"extension type {code}")
