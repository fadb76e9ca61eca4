"""RFC 9068, RFC 8725: tokens that say what they are good for are believed if the issuer says so."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from gateway.auth.errors import IssuerUnavailable, NotAuthenticated
from gateway.auth.oauth.signed import SignedTokens
from tests.auth.oauth.issuing import AUDIENCE, Issuing, elliptic, issuing, rsa, signed

KEY = rsa("first")
NEXT = rsa("second")


@pytest.fixture
async def there() -> AsyncIterator[Issuing]:
    """Give an issuer with one key."""
    async with issuing() as there:
        there.publish(KEY)
        yield there


def checker(there: Issuing, claim: str = "email") -> SignedTokens:
    return SignedTokens(there.issuer, (AUDIENCE, "another"), claim, there.clock)


async def test_a_good_token_names_its_user(there: Issuing) -> None:
    exp = int(time.time()) + 600
    claims = await checker(there).check(signed(KEY, there.claims(exp=exp)))
    assert claims.username == "ann@example.test"
    assert claims.scopes == frozenset(["openid", "urn:ietf:params:oauth:scope:mail"])
    assert claims.expires == exp + 60


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "somebody else"},
        {"aud": ["a", "b"]},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"nbf": 1 << 40},
        {"email": None},
        {"email": ["ann@example.test"]},
        {"email_verified": False},
    ],
    ids=str,
)
async def test_a_token_for_others_or_another_time_is_refused(
    there: Issuing, change: dict[str, Any]
) -> None:
    claims = there.claims(**change)
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(NotAuthenticated):
        await checker(there).check(signed(KEY, claims))


@pytest.mark.parametrize("seconds", [-30, 30])
async def test_clocks_may_differ_a_little(there: Issuing, seconds: int) -> None:
    now = int(time.time())
    claims = there.claims(exp=now + seconds, nbf=now + 30, iat=now + 30)
    await checker(there).check(signed(KEY, claims))


def unsigned(there: Issuing) -> str:
    head, body, _ = signed(KEY, there.claims()).split(".")
    del head
    return f"eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{body}."


def by_public_key(there: Issuing) -> str:
    """RFC 8725 §2.1: the public key, which everybody has, taken for a shared secret."""
    body = signed(KEY, there.claims()).split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').decode().rstrip("=")
    digest = hmac.digest(KEY.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def by_another(there: Issuing) -> str:
    return signed(RSAKey.generate_key(2048, {"kid": "first"}), there.claims())


def by_own_key(there: Issuing) -> str:
    """RFC 8725 §3.10: the token brings the key along."""
    own = RSAKey.generate_key(2048, {"kid": "own"})
    return signed(own, there.claims(), jwk=own.as_dict(private=False))


def changed(there: Issuing) -> str:
    head, _, signature = signed(KEY, there.claims()).split(".")
    body = signed(KEY, there.claims(email="bob@example.test")).split(".")[1]
    return f"{head}.{body}.{signature}"


def of_another_kind(there: Issuing) -> str:
    return signed(KEY, there.claims(), typ="logout+jwt")


@pytest.mark.parametrize(
    "made", [unsigned, by_public_key, by_another, by_own_key, changed, of_another_kind]
)
async def test_what_the_issuer_has_not_signed_is_refused(
    there: Issuing, made: Callable[[Issuing], str]
) -> None:
    with pytest.raises(NotAuthenticated):
        await checker(there).check(made(there))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "e30.e30.e30", "a" * 10_000])
async def test_what_is_no_token_is_refused(there: Issuing, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await checker(there).check(token)


async def test_a_new_key_is_found_and_an_old_one_forgotten(there: Issuing) -> None:
    check = checker(there)
    await check.check(signed(KEY, there.claims()))
    there.publish(NEXT)
    with pytest.raises(NotAuthenticated):  # it has just been asked
        await check.check(signed(NEXT, there.claims()))
    there.clock.now += 31
    await check.check(signed(NEXT, there.claims()))
    with pytest.raises(NotAuthenticated):
        await check.check(signed(KEY, there.claims()))


async def test_made_up_keys_do_not_make_the_issuer_be_asked_each_time(there: Issuing) -> None:
    check = checker(there)
    for number in range(20):
        with pytest.raises(NotAuthenticated):
            await check.check(signed(KEY, there.claims(), kid=f"made up {number}"))
    assert there.server.asked.count("/jwks") == 1


async def test_known_keys_stay_good_while_the_issuer_is_away(there: Issuing) -> None:
    check = checker(there)
    await check.check(signed(KEY, there.claims()))
    there.server.documents.clear()
    there.clock.now += 4000
    await check.check(signed(KEY, there.claims()))


async def test_nothing_is_known_while_the_issuer_is_away(there: Issuing) -> None:
    check = checker(there)
    there.server.documents["/jwks"] = 503
    with pytest.raises(IssuerUnavailable):
        await check.check(signed(KEY, there.claims()))
    there.publish(KEY)
    await check.check(signed(KEY, there.claims()))


async def test_keys_of_unknown_kinds_and_for_encryption_are_passed_over(there: Issuing) -> None:
    other = elliptic("curve")
    hidden = {**rsa("hidden").as_dict(private=False), "use": "enc"}
    there.publish(KEY, other, others=[{"kty": "XYZ", "kid": "new"}, hidden, "text", {}])
    check = checker(there)
    await check.check(signed(KEY, there.claims()))
    await check.check(signed(other, there.claims(), alg="ES256"))


async def test_the_claim_that_names_the_user_may_be_another(there: Issuing) -> None:
    claims = there.claims(preferred_username="ann", email_verified=False)
    assert (await checker(there, "preferred_username").check(signed(KEY, claims))).username == "ann"
