"""RFC 8292: the token that tells push services who sends."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.webpush.vapid import BadKey, Vapid
from tests.servers.push_service import unb64, verified

ORIGIN = "https://push.example.org"
URL = f"{ORIGIN}/a?b"
CONTACT = "mailto:postmaster@example.test"
HOUR = 3600.0


@dataclass
class Clock:
    """Begins now, and goes on when told."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def test_the_token_is_signed_by_the_key_that_clients_know() -> None:
    """RFC 8292 §2, §3: the form of the field, the claims, a day at most."""
    vapid = Vapid.generate(CONTACT)
    value = vapid.authorization(URL)
    assert re.fullmatch(r"vapid t=[\w-]+\.[\w-]+\.[\w-]{86}, k=[\w-]{87}", value)
    claims, key = verified(value, ORIGIN)
    assert claims.keys() == {"aud", "exp", "sub"}
    assert claims["sub"] == CONTACT
    assert isinstance(claims["exp"], int)
    assert key == vapid.public_key
    assert len(unb64(key)) == 65
    assert unb64(key)[0] == 4


def test_without_a_contact_there_is_none() -> None:
    claims, _ = verified(Vapid.generate().authorization(URL), ORIGIN)
    assert claims.keys() == {"aud", "exp"}


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        (URL, ORIGIN),
        (ORIGIN, ORIGIN),
        ("https://PUSH.example.org:443/a", ORIGIN),
        ("https://push.example.org:8443/a", "https://push.example.org:8443"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_audience_is_the_origin(url: str, audience: str) -> None:
    """RFC 8292 §2: by RFC 6454 §6.1."""
    claims, _ = verified(Vapid.generate().authorization(url), audience)
    assert claims["aud"] == audience


def test_a_token_is_of_one_origin_and_used_again() -> None:
    vapid = Vapid.generate()
    value = vapid.authorization(URL)
    assert vapid.authorization(f"{ORIGIN}:443/another") == value
    other = vapid.authorization("https://push.example.com/a?b")
    assert verified(other, "https://push.example.com")
    assert vapid.authorization(URL) == value


def test_a_token_is_renewed_long_before_it_expires() -> None:
    """Its push may wait, and the clocks of push services differ."""
    clock = Clock()
    vapid = Vapid(ec.generate_private_key(ec.SECP256R1()), CONTACT, clock)
    seen = set()
    for _ in range(48):
        value = vapid.authorization(URL)
        claims, _key = verified(value, ORIGIN, clock.now)
        assert claims["exp"] > clock.now + HOUR
        seen.add(value)
        clock.now += HOUR
    assert 2 < len(seen) < 24


def test_no_more_tokens_are_kept_than_there_are_push_services() -> None:
    """The ones that were not used for longest go."""
    vapid = Vapid.generate()
    used, unused = vapid.authorization(URL), vapid.authorization("https://unused.example.org/")
    for number in range(199):
        vapid.authorization(f"https://{number}.example.org/")
        assert vapid.authorization(URL) == used
    assert vapid.authorization("https://unused.example.org/") != unused


def test_a_key_that_is_loaded_is_the_same() -> None:
    vapid = Vapid.generate()
    again = Vapid.load(vapid.pem, CONTACT)
    assert again.public_key == vapid.public_key
    assert verified(again.authorization(URL), ORIGIN)[1] == vapid.public_key
    assert Vapid.generate().public_key != vapid.public_key


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        Vapid.generate().pem[:-40],
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(ec.generate_private_key(ec.SECP256K1())),
        pem_of(rsa.generate_private_key(65537, 2048)),
        pem_of(ec.generate_private_key(ec.SECP256R1()), b"password"),
    ],
    ids=["empty", "text", "cut", "P-384", "secp256k1", "RSA", "encrypted"],
)
def test_what_is_no_key_of_p_256_is_refused(pem: bytes) -> None:
    with pytest.raises(BadKey):
        Vapid.load(pem)
