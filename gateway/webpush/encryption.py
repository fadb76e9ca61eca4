"""RFC 8291: a message that only the client can read, whatever the push service does."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Self

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

_AUTH_OCTETS: Final = 16
_UNCOMPRESSED: Final = b"\x04"
# RFC 8030 §7.2: what every push service takes.
_BODY_OCTETS: Final = 4_096
# RFC 8188 §2: salt, record size, length of the key and the key; then a delimiter and the tag.
_OVERHEAD: Final = 16 + 4 + 1 + 65 + 1 + 16
MAX_OCTETS: Final = _BODY_OCTETS - _OVERHEAD
"""Of a message, so that it can be sent when it is encrypted."""


class BadKeys(Exception):
    """They are no keys of RFC 8291 §2; the text says why, for the client."""


@dataclass(frozen=True, slots=True)
class Keys:
    """p256dh: the client's public key, an uncompressed point; auth: the shared secret."""

    p256dh: bytes
    auth: bytes = field(repr=False)

    @classmethod
    def parse(cls, p256dh: str, auth: str) -> Self:
        """From base64url, padded or not. Raises BadKeys."""
        point, secret = _decoded("p256dh", p256dh), _decoded("auth", auth)
        if not point.startswith(_UNCOMPRESSED):
            raise BadKeys("p256dh is not an uncompressed point.")
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise BadKeys("p256dh is no point of the curve P-256.") from None
        if len(secret) != _AUTH_OCTETS:
            raise BadKeys(f"auth has not {_AUTH_OCTETS} octets.")
        return cls(point, secret)


def encrypted(octets: bytes, keys: Keys) -> bytes:
    """The body of a push, by a key of its own and in one record of aes128gcm (RFC 8291 §4)."""
    return encrypted_with(octets, keys, ec.generate_private_key(ec.SECP256R1()), None)


def encrypted_with(
    octets: bytes, keys: Keys, private_key: ec.EllipticCurvePrivateKey, salt: bytes | None
) -> bytes:
    """The same by a given key; salt None: a random one. ValueError above MAX_OCTETS, or empty."""
    if not 0 < len(octets) <= MAX_OCTETS:  # of nothing, http_ece makes no record
        raise ValueError(f"a push has 1 to {MAX_OCTETS} octets")
    body: bytes = http_ece.encrypt(
        octets,
        salt=salt,
        private_key=private_key,
        dh=keys.p256dh,
        auth_secret=keys.auth,
        version="aes128gcm",
    )
    return body


def _decoded(name: str, text: str) -> bytes:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadKeys(f"{name} is not base64url.") from None
