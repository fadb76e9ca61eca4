"""RFC 8292: who sends a push: a signed token, by the key that clients know (RFC 9749)."""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Self
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

# RFC 8292 §2 allows a day; clocks differ, and a token is used again for half of its time.
_VALID_SECONDS: Final = 12 * 3600
_USED_SECONDS: Final = _VALID_SECONDS // 2
_TOKENS: Final = 200


class BadKey(ValueError):
    """It is no private key of the curve P-256; the text says why."""


class Vapid:
    """The key of the application server. contact: a mailto: or https: URL, or None (§2.1)."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        contact: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._signer = ECKey.import_key(self.pem)
        self._contact = contact
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()
        point = key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.public_key = base64.urlsafe_b64encode(point).rstrip(b"=").decode()
        """The application server key: the uncompressed point in base64url."""

    @classmethod
    def generate(cls, contact: str | None = None) -> Self:
        """With a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()), contact)

    @classmethod
    def load(cls, pem: bytes, contact: str | None = None) -> Self:
        """With a key in PEM, unencrypted. Raises BadKey."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise BadKey("not a key of the curve P-256")
        return cls(key, contact)

    @property
    def pem(self) -> bytes:
        """The private key, for load()."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def authorization(self, url: str) -> str:
        """The value of the Authorization field of a push to that URL."""
        return f"vapid t={self._token(_origin(url))}, k={self.public_key}"

    def _token(self, origin: str) -> str:
        now = self._clock()
        token, until = self._tokens.get(origin, ("", 0.0))
        if now >= until:
            claims: dict[str, str | int] = {"aud": origin, "exp": int(now) + _VALID_SECONDS}
            if self._contact is not None:
                claims["sub"] = self._contact
            token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._signer)
            self._tokens[origin] = token, now + _USED_SECONDS
        self._tokens.move_to_end(origin)
        while len(self._tokens) > _TOKENS:
            self._tokens.popitem(last=False)
        return token


def _origin(url: str) -> str:
    """RFC 6454 §6.2: without the port that goes without saying."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, 443) else "")
