"""Design §11: what the gateway has to be able to read again, under keys that no store has.

    [version, id of the key, nonce, AES-256-GCM of the octets]

What it belongs to is part of the seal, so that it opens nothing else. The first key seals; the
others open what was sealed before there was a newer one.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x01"
_ID_OCTETS: Final = 8
_NONCE_OCTETS: Final = 12


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed; is_current: by the key that seals now."""

    octets: bytes
    is_current: bool


class Keyring:
    """Keys, the newest first; each is any secret of enough octets. ValueError without any."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError("a keyring needs a key")
        ids = [_derived(secret, b"id")[:_ID_OCTETS] for secret in secrets]
        ciphers = [AESGCM(_derived(secret, b"key")) for secret in secrets]
        self._ciphers = dict(zip(ids, ciphers, strict=True))
        self._current = ids[0]

    def seal(self, owner: bytes, octets: bytes) -> bytes:
        """The octets as only open() of the same owner makes them out again."""
        nonce = os.urandom(_NONCE_OCTETS)
        head = _VERSION + self._current
        sealed = self._ciphers[self._current].encrypt(nonce, octets, head + owner)
        return head + nonce + sealed

    def open(self, owner: bytes, sealed: bytes) -> Opened | None:
        """Inverse of seal(); None for what is another's, or sealed with a key that is gone."""
        end = len(_VERSION) + _ID_OCTETS
        head, nonce, rest = sealed[:end], sealed[end : end + _NONCE_OCTETS], sealed[end:]
        id_ = head[len(_VERSION) :]
        cipher = self._ciphers.get(id_)
        if cipher is None or not head.startswith(_VERSION):
            return None
        try:
            octets = cipher.decrypt(nonce, rest[_NONCE_OCTETS:], head + owner)
        except (InvalidTag, ValueError):
            return None
        return Opened(octets, id_ == self._current)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, b"keyring\0" + purpose, "sha256")
