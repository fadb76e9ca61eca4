"""Design §7: what nobody who reads the database is to see, as passwords that are needed later.

    [nonce, AES-256-GCM of the octets]      with a key made of the store's secret

The seal around a stored value proves what it is, and hides nothing.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.store.keys import canonical

_NONCE_OCTETS: Final = 12


def hidden(secret: bytes, account: str, octets: bytes) -> bytes:
    """The octets as only `revealed` of the same secret and account makes them out again."""
    nonce = os.urandom(_NONCE_OCTETS)
    return nonce + _cipher(secret).encrypt(nonce, octets, canonical(account))


def revealed(secret: bytes, account: str, octets: bytes) -> bytes | None:
    """Inverse of hidden(); None for anything else."""
    nonce, rest = octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:]
    try:
        return _cipher(secret).decrypt(nonce, rest, canonical(account))
    except (InvalidTag, ValueError):
        return None


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, b"hiding", "sha256"))
